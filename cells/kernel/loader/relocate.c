/* Resolves the symbols of a placed object, writes its relocations through the direct map and records each one as an
 * edge in both directions (thesis §5.1). */
#include "cells/kernel/loader/link.h"
#include "cells/kernel/page/page.h"
#include "cells/lib/string/string.h"

static bool fits(uint32_t type, uint64_t value)
{
    switch (type) {
    case R_X86_64_PC32:
    case R_X86_64_PLT32:
    case R_X86_64_32S:
        return (int64_t)value == (int32_t)value;
    case R_X86_64_32:
        return value == (uint32_t)value;
    default:
        return true;
    }
}

static uint64_t value_of(const struct arena_edge *edge)
{
    uint64_t value = arena_section(edge->to)->virt + edge->target + (uint64_t)edge->addend;

    return relocation_is_relative(edge->type) ? value - arena_section(edge->from)->virt - edge->offset : value;
}

static uint8_t *place_of(const struct arena_edge *edge)
{
    return (uint8_t *)page_direct(arena_section(edge->from)->phys) + edge->offset;
}

bool link_write(const struct arena_edge *edge)
{
    uint64_t value = value_of(edge);

    if (!fits(edge->type, value))
        return false;
    memcpy(place_of(edge), &value, relocation_bytes(edge->type));
    return true;
}

static bool says_otherwise(const struct arena_edge *edge)
{
    uint64_t value = value_of(edge);

    return memcmp(place_of(edge), &value, relocation_bytes(edge->type));
}

static bool is_in_data(const struct arena_edge *edge)
{
    uint32_t kind = arena_section(edge->from)->kind;

    return kind == SECTION_DATA || kind == SECTION_BSS;
}

bool link_is_stored_over(const struct arena_edge *edge)
{
    return is_in_data(edge) && says_otherwise(edge);
}

uint32_t link_add_edge(const struct arena_edge *edge)
{
    uint32_t index = arena_new(ARENA_EDGES);

    if (!index)
        return 0;
    *arena_edge(index) = *edge;
    arena_seal(ARENA_EDGES, index);
    arena_edge_link(index);
    return index;
}

static bool is_among(uint32_t cell, const uint32_t *cells, size_t count)
{
    for (size_t i = 0; i < count; i++)
        if (cells[i] == cell)
            return true;
    return false;
}

static uint32_t export_of(uint32_t cell, const char *name)
{
    for (uint32_t i = arena_cell(cell)->first_symbol; i; i = arena_symbol(i)->next_in_cell)
        if (arena_symbol(i)->access && string_equal(arena_string(arena_symbol(i)->name), name))
            return i;
    return 0;
}

uint32_t link_visible_symbol(uint32_t namespace_, const char *name)
{
    uint32_t found = arena_symbol_find(namespace_, name);

    if (!found || arena_symbol(found)->namespace_ == namespace_)
        return found;
    uint32_t cell = arena_section(arena_symbol(found)->section)->cell;
    return arena_cell_find(namespace_, arena_string(arena_cell(cell)->name)) == cell ? found : 0;
}

uint32_t link_find_symbol(const struct link *link, const char *name)
{
    const struct link_scope *scope = link->scope;
    uint32_t found;

    for (size_t i = 0; scope && i < scope->staged_count; i++)
        if ((found = export_of(scope->staged[i], name)))
            return found;
    found = link_visible_symbol(arena_cell(link->cell)->namespace_, name);
    if (found && scope &&
        is_among(arena_section(arena_symbol(found)->section)->cell, scope->hidden, scope->hidden_count))
        return 0;
    return found;
}

/* What cells of the image refer to is in the image; but the way in also refers to what only the linker knows: edge->to
 * stays 0. */
static enum err resolve_in_image(const struct link *link, const char *name, struct arena_edge *edge,
                                 struct loader_detail *detail)
{
    uint32_t symbol = image_symbol(link->image, name);

    if (!symbol)
        return link->cell == link->image->way_in
                   ? ERR_OK
                   : REFUSE(ERR_UNRESOLVED, link->object.cell.name, ": needs ", name, ", which the image lacks");
    edge->to = arena_symbol(symbol)->section;
    edge->target = arena_symbol(symbol)->offset;
    return ERR_OK;
}

/* Fills in where `symbol` of the object leads to. */
static enum err resolve(const struct link *link, uint32_t symbol, struct arena_edge *edge, struct loader_detail *detail)
{
    const struct object *object = &link->object;
    struct elf_symbol s;

    object_symbol(object, symbol, &s);
    const char *name = object_symbol_name(object, &s);
    if (s.section == ELF_UNDEFINED) {
        edge->symbol = link->image ? link_find_symbol(link, name) : link->found[symbol];
        if (!edge->symbol && link->image)
            return resolve_in_image(link, name, edge, detail);
        edge->to = arena_symbol(edge->symbol)->section;
        edge->target = arena_symbol(edge->symbol)->offset;
        return ERR_OK;
    }
    edge->symbol = 0;
    edge->to = s.section < object->sections ? link->section_of[s.section] : 0;
    edge->target = (uint32_t)s.value;
    if (!edge->to)
        return REFUSE(ERR_BAD_RELOCATION, object->cell.name, ": a relocation by ", name,
                      " into a section that is not loaded");
    return ERR_OK;
}

static enum err relocate_one(const struct link *link, uint32_t from, const struct elf_rela *r,
                             struct loader_detail *detail)
{
    struct arena_edge edge = {.from = from, .offset = (uint32_t)r->offset, .type = r->type, .addend = r->addend};
    enum err err;

    if (r->type == R_X86_64_NONE)
        return ERR_OK;
    if ((err = resolve(link, r->symbol, &edge, detail)))
        return err;
    if (!edge.to)
        return ERR_OK;
    if (link->image && !is_in_data(&edge) && says_otherwise(&edge))
        return REFUSE(ERR_CORRUPT, "the image has other code than cell ", link->object.cell.name, " in ",
                      arena_string(arena_section(from)->name));
    if (!link->image && !link_write(&edge))
        return REFUSE(ERR_BAD_RELOCATION, link->object.cell.name, ": a relocation in ",
                      arena_string(arena_section(from)->name), " does not reach ",
                      arena_string(arena_section(edge.to)->name));
    GUARD(arena) held = arena_change();
    if (!link_add_edge(&edge))
        return REFUSE(ERR_FULL, link->object.cell.name, ": no free edge in the arena; unload a cell first");
    return ERR_OK;
}

void link_find_needs(const struct link *link)
{
    const struct object *object = &link->object;
    struct elf_section rela;
    struct elf_rela r;

    for (uint32_t i = 1; i < object->sections; i++) {
        object_section(object, i, &rela);
        if (rela.type != ELF_RELA || rela.info >= object->sections || !link->section_of[rela.info])
            continue;
        for (uint32_t k = 0; k < object_relocation_count(&rela); k++) {
            object_relocation(object, &rela, k, &r);
            if (r.type != R_X86_64_NONE && r.symbol < object->symbols)
                link->found[r.symbol] = LINK_NEEDED;
        }
    }
}

static enum err relocate_section(const struct link *link, uint32_t section, const struct elf_section *rela,
                                 struct loader_detail *detail)
{
    struct elf_rela r;
    enum err err;

    for (uint32_t k = 0; k < object_relocation_count(rela); k++) {
        object_relocation(&link->object, rela, k, &r);
        if ((err = relocate_one(link, section, &r, detail)))
            return err;
    }
    return ERR_OK;
}

enum err link_relocate(const struct link *link, struct loader_detail *detail)
{
    const struct object *object = &link->object;
    struct elf_section rela;
    enum err err;

    for (uint32_t i = 1; i < object->sections; i++) {
        object_section(object, i, &rela);
        uint32_t section = rela.type == ELF_RELA && rela.info < object->sections ? link->section_of[rela.info] : 0;
        if (section && (err = relocate_section(link, section, &rela, detail)))
            return err;
    }
    for (uint32_t i = 1; i < object->sections; i++)
        if (link->section_of[i]) {
            GUARD(arena) held = arena_change();
            link_hash_section(link->section_of[i]);
        }
    return ERR_OK;
}
