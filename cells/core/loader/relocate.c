/* Resolves the symbols of a placed object, writes its relocations through the direct map and records each one as an
 * edge in both directions (thesis §5.1). Invariant: every relocation that is written has its edge, and none is written
 * whose value does not fit. */
#include "cells/core/loader/link.h"
#include "cells/core/page/page.h"
#include "cells/lib/string/string.h"

#define UNWIND_START 8 /* where an entry of an unwind table says where its function starts */

static uint64_t value_of(const struct arena_edge *edge)
{
    return relocation_value(edge->type, arena_edge_target(edge, arena_section(edge->to)),
                            arena_section(edge->from)->virt + edge->offset);
}

static uint8_t *place_of(const struct arena_edge *edge)
{
    return (uint8_t *)page_direct(arena_section(edge->from)->phys) + edge->offset;
}

bool loader_write_edge(const struct arena_edge *edge)
{
    uint64_t value = value_of(edge);

    if (!relocation_fits(edge->type, value))
        return false;
    relocation_write(place_of(edge), value, relocation_bytes(edge->type));
    return true;
}

static bool says_otherwise(const struct arena_edge *edge)
{
    uint64_t value = value_of(edge);

    return memcmp(place_of(edge), &value, relocation_bytes(edge->type));
}

static bool is_in_data(const struct arena_edge *edge)
{
    return section_kind_is_data(arena_section(edge->from)->kind);
}

bool loader_is_stored_over(const struct arena_edge *edge)
{
    return is_in_data(edge) && says_otherwise(edge);
}

struct edge_ref loader_add_edge(const struct arena_edge *edge)
{
    struct edge_ref added = {arena_new(ARENA_EDGES)};

    if (!added.index)
        return added;
    *arena_edge(added) = *edge;
    arena_seal(added);
    arena_edge_link(added);
    return added;
}

static bool is_hidden(struct cell_ref cell, const struct cell_ref *cells, size_t count)
{
    for (size_t i = 0; i < count; i++)
        if (same(cells[i], cell))
            return true;
    return false;
}

static struct symbol_ref export_of(struct cell_ref cell, const char *name)
{
    for_each_symbol_of (i, cell)
        if (arena_symbol(i)->access && string_equal(arena_string(arena_symbol(i)->name), name))
            return i;
    return NO_SYMBOL;
}

static struct symbol_ref export_among(const struct cell_ref *cells, size_t count, const char *name)
{
    struct symbol_ref found = {};

    for (size_t i = 0; i < count && !found.index; i++)
        found = export_of(cells[i], name);
    return found;
}

struct symbol_ref loader_visible_symbol(struct namespace_ref namespace_, const char *name)
{
    struct symbol_ref found = arena_symbol_find(namespace_, name);

    if (!found.index || same(arena_symbol(found)->namespace_, namespace_))
        return found;
    struct cell_ref cell = arena_section(arena_symbol(found)->section)->cell;
    if (!same(arena_cell_find(namespace_, arena_string(arena_cell(cell)->name)), cell))
        found.index = 0;
    return found;
}

struct symbol_ref link_find_symbol(const struct link *link, const char *name)
{
    const struct link_scope *scope = link->scope;
    struct symbol_ref found = {};

    if (scope)
        found = export_among(scope->staged, scope->staged_count, name);
    if (scope && !found.index)
        found = export_among(scope->inherited, scope->inherited_count, name);
    if (found.index)
        return found;
    found = loader_visible_symbol(arena_cell(link->cell)->namespace_, name);
    if (found.index && scope &&
        is_hidden(arena_section(arena_symbol(found)->section)->cell, scope->hidden, scope->hidden_count))
        found.index = 0;
    return found;
}

/* Resolves a symbol that no cell exports: it is in the entry point. The entry point itself also refers to symbols that
 * only the linker knows: ret_edge->to stays none then. */
static enum err resolve_in_image(const struct link *link, const char *name, struct arena_edge *ret_edge,
                                 struct report *report)
{
    struct symbol_ref symbol = image_symbol(link->image, name);

    if (!symbol.index)
        return same(link->cell, link->image->entry_cell)
                   ? ERR_OK
                   : report_refuse(report, ERR_UNRESOLVED, "%s: needs %s, which the image lacks",
                                   link->object.cell.name, name);
    ret_edge->to = arena_symbol(symbol)->section;
    ret_edge->target = arena_symbol(symbol)->offset;
    return ERR_OK;
}

/* Sets the edge to the place of the object's symbol number `symbol`. */
static enum err resolve(const struct link *link, uint32_t symbol, struct arena_edge *ret_edge, struct report *report)
{
    const struct object *object = &link->object;
    struct elf_symbol s;

    object_symbol(object, symbol, &s);
    const char *name = object_symbol_name(object, &s);
    if (s.section == ELF_UNDEFINED) {
        ret_edge->symbol = link->image ? link_find_symbol(link, name) : link->found[symbol];
        if (!ret_edge->symbol.index && link->image)
            return resolve_in_image(link, name, ret_edge, report);
        ret_edge->to = arena_symbol(ret_edge->symbol)->section;
        ret_edge->target = arena_symbol(ret_edge->symbol)->offset;
        return ERR_OK;
    }
    ret_edge->symbol = NO_SYMBOL;
    ret_edge->to = link_section(link, s.section);
    ret_edge->target = (uint32_t)s.value;
    if (!ret_edge->to.index)
        return report_refuse(report, ERR_BAD_RELOCATION, "%s: a relocation by %s into a section that is not loaded",
                             object->cell.name, name);
    return ERR_OK;
}

static enum err relocate_one(const struct link *link, struct section_ref from, const struct elf_rela *r,
                             struct report *report)
{
    struct arena_edge edge = {.from = from, .offset = (uint32_t)r->offset, .type = r->type, .addend = r->addend};
    enum err err;

    if (r->type == R_X86_64_NONE)
        return ERR_OK;
    if ((err = resolve(link, r->symbol, &edge, report)))
        return err;
    if (!edge.to.index)
        return ERR_OK;
    if (link->image && !is_in_data(&edge) && says_otherwise(&edge))
        return report_refuse(report, ERR_CORRUPT, "the image has other code than cell %s in %s", link->object.cell.name,
                             arena_string(arena_section(from)->name));
    if (!link->image && !loader_write_edge(&edge))
        return report_refuse(report, ERR_BAD_RELOCATION, "%s: a relocation in %s does not reach %s",
                             link->object.cell.name, arena_string(arena_section(from)->name),
                             arena_string(arena_section(edge.to)->name));
    GUARD(arena) held = arena_change();
    if (!loader_add_edge(&edge).index)
        return arena_refuse_full(ARENA_EDGES, report);
    return ERR_OK;
}

void link_find_needs(const struct link *link)
{
    const struct object *object = &link->object;
    struct elf_section rela;
    struct elf_rela r;

    for (uint32_t i = 1; i < object->sections; i++) {
        object_section(object, i, &rela);
        if (rela.type != ELF_RELA || !link_section(link, rela.info).index)
            continue;
        for (uint32_t k = 0; k < object_relocation_count(&rela); k++) {
            object_relocation(object, &rela, k, &r);
            if (r.type != R_X86_64_NONE && r.symbol < object->symbols)
                link->found[r.symbol] = LINK_NEEDED;
        }
    }
}

/* Tells the unwinder where to look for the functions of each section: an entry of the table has a relocation to the one
 * that it is about. The list of edges begins with the last one, so that the first entry of a section is noted. */
static void note_unwind_entries(struct section_ref table)
{
    GUARD(arena) held = arena_change();

    for_each_edge_from (edge, table) {
        const struct arena_edge *e = arena_edge(edge);
        struct arena_section *to = arena_section(e->to);
        if (e->type == R_X86_64_PC32 && same(to->cell, arena_section(table)->cell)) {
            to->unwind_entry = e->offset - UNWIND_START + 1;
            arena_seal(e->to);
        }
    }
}

static enum err relocate_section(const struct link *link, struct section_ref section, const struct elf_section *rela,
                                 struct report *report)
{
    struct elf_rela r;
    enum err err;

    for (uint32_t k = 0; k < object_relocation_count(rela); k++) {
        object_relocation(&link->object, rela, k, &r);
        if ((err = relocate_one(link, section, &r, report)))
            return err;
    }
    if (arena_section(section)->kind == SECTION_EH_FRAME)
        note_unwind_entries(section);
    return ERR_OK;
}

enum err link_relocate(const struct link *link, struct report *report)
{
    const struct object *object = &link->object;
    struct elf_section rela;
    enum err err;

    for (uint32_t i = 1; i < object->sections; i++) {
        object_section(object, i, &rela);
        struct section_ref section = link_section(link, rela.info);
        if (rela.type == ELF_RELA && section.index && (err = relocate_section(link, section, &rela, report)))
            return err;
    }
    for (uint32_t i = 1; i < object->sections; i++)
        if (link->section_of[i].index) {
            GUARD(arena) held = arena_change();
            loader_hash_section(link->section_of[i]);
        }
    return ERR_OK;
}
