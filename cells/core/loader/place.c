/* Gives a checked object its memory: up to three regions, contents written through the direct map, and a record for
 * each section and symbol. relocate.c writes relocations. Invariant: a region has its final protection from the
 * start. */
#include "cells/core/frame/frame.h"
#include "cells/core/loader/link.h"
#include "cells/core/page/page.h"
#include "cells/lib/string/string.h"

enum { TEXT, RODATA, DATA, REGIONS };

/* The order of sections within a region: those with contents before those without, unwind tables last. The bytes behind
 * each: a zero length ends unwind tables; and a pointer to the end of an array must not be one to what follows. */
static const struct {
    uint32_t kind, region, behind;
} order[] = {
    {SECTION_TEXT, TEXT, 0},       {SECTION_RODATA, RODATA, 1}, {SECTION_EXCEPT, RODATA, 0},
    {SECTION_EH_FRAME, RODATA, 4}, {SECTION_DATA, DATA, 1},     {SECTION_BSS, DATA, 1},
};
static const unsigned region_flags[REGIONS] = {
    [TEXT] = PAGE_CELL | PAGE_EXECUTE, [RODATA] = PAGE_CELL, [DATA] = PAGE_CELL | PAGE_WRITE};

struct place {
    struct link *link;
    struct section_list list;
    uint64_t virt[REGIONS], phys[REGIONS], used[REGIONS];
};

/* ---- records, also for nano_core.c ---- */

struct section_ref link_add_section(struct section_list *list, const char *name, uint32_t kind, uint64_t virt,
                                    uint64_t phys, uint32_t bytes, uint32_t align)
{
    struct section_ref section = {arena_new_named(ARENA_SECTIONS, name)};

    if (!section.index)
        return section;
    struct arena_section *s = arena_section(section);
    s->cell = list->cell;
    s->kind = (uint16_t)kind;
    s->virt = virt;
    s->phys = phys;
    s->bytes = bytes;
    s->align = (uint16_t)align;
    arena_seal(section);
    if (list->last.index) {
        arena_section(list->last)->next_in_cell = section;
        arena_seal(list->last);
    } else {
        arena_cell(list->cell)->first_section = section;
    }
    arena_cell(list->cell)->sections++;
    arena_seal(list->cell);
    list->last = section;
    return section;
}

struct symbol_ref link_add_symbol(struct cell_ref cell, struct section_ref section, const char *name, uint64_t offset,
                                  uint64_t bytes, const struct note_symbol *export_)
{
    struct symbol_ref symbol = {arena_new_named(ARENA_SYMBOLS, name)};

    if (!symbol.index)
        return symbol;
    struct arena_symbol *s = arena_symbol(symbol);
    s->section = section;
    s->offset = (uint32_t)offset;
    s->bytes = (uint32_t)bytes;
    s->type_hash = export_->type_hash;
    s->deep_hash = export_->deep_hash;
    s->access = export_->access;
    s->namespace_ = arena_cell(cell)->namespace_;
    s->next_in_cell = arena_cell(cell)->first_symbol;
    arena_seal(symbol);
    arena_cell(cell)->first_symbol = symbol;
    arena_seal(cell);
    return symbol;
}

void loader_publish_symbols(struct cell_ref cell)
{
    for_each_symbol_of (i, cell)
        if (arena_symbol(i)->access)
            arena_symbol_publish(i);
}

void loader_retract_symbols(struct cell_ref cell)
{
    for_each_symbol_of (i, cell)
        if (arena_symbol(i)->access)
            arena_symbol_retract(i);
}

void loader_hash_section(struct section_ref section)
{
    struct arena_section *s = arena_section(section);

    if (section_kind_is_data(s->kind))
        return;
    s->hash = arena_hash(page_direct(s->phys), s->bytes);
    s->rewritten = 0;
    arena_seal(section);
}

/* ---- sections ---- */

static uint64_t align_up(uint64_t n, uint64_t align)
{
    return align > 1 ? (n + align - 1) & ~(align - 1) : n;
}

static enum err fill_section(struct place *place, uint32_t index, const struct elf_section *s, size_t step,
                             uint64_t offset, struct report *report)
{
    const struct object *object = &place->link->object;
    unsigned region = order[step].region;
    uint64_t phys = place->phys[region] + offset;

    if (s->type != ELF_NOBITS)
        memcpy(page_direct(phys), object->data + s->offset, s->size);
    GUARD(arena) held = arena_change();
    struct section_ref section =
        link_add_section(&place->list, object_section_name(object, s), order[step].kind, place->virt[region] + offset,
                         phys, (uint32_t)s->size, s->align ? (uint32_t)s->align : 1);
    if (!section.index)
        return arena_refuse_full(ARENA_SECTIONS, report);
    struct note_data note = object_data_of(object, index);
    arena_section(section)->object_index = index;
    arena_section(section)->type_hash = note.type_hash;
    arena_section(section)->deep_hash = note.deep_hash;
    arena_section(section)->datum = (uint8_t)note.datum;
    arena_seal(section);
    if (order[step].kind == SECTION_EH_FRAME) {
        arena_cell(place->list.cell)->eh_frame_section = section;
        arena_seal(place->list.cell);
    }
    place->link->section_of[index] = section;
    return ERR_OK;
}

/* Computes the offset of each loaded section in its region; with `fill` also writes it there. Both passes compute the
 * same offsets. */
static enum err lay_out(struct place *place, bool fill, struct report *report)
{
    const struct object *object = &place->link->object;
    struct elf_section s;
    enum err err;

    memset(place->used, 0, sizeof place->used);
    for (size_t step = 0; step < array_size(order); step++)
        for (uint32_t i = 1; i < object->sections; i++) {
            object_section(object, i, &s);
            if (object_kind(object, &s) != order[step].kind)
                continue;
            uint64_t offset = align_up(place->used[order[step].region], s.align);
            if (fill && (err = fill_section(place, i, &s, step, offset, report)))
                return err;
            place->used[order[step].region] = offset + s.size + order[step].behind;
        }
    return ERR_OK;
}

/* Maps the regions. They belong to the cell's record, which keeps where they start; loader_discard unmaps them. */
static enum err map_regions(struct place *place, struct report *report)
{
    struct mapped_pages *mp[REGIONS] = {0};

    for (int r = 0; r < REGIONS; r++) {
        if (place->used[r] == 0)
            continue;
        mp[r] = page_map(place->used[r], region_flags[r]);
        if (!mp[r]) {
            while (r-- > 0)
                mapped_pages_put(mp[r]);
            return report_refuse(report, ERR_NOMEM, "no memory for cell %s", place->link->object.cell.name);
        }
        place->virt[r] = (uint64_t)(uintptr_t)page_start(mp[r]);
        place->phys[r] = page_phys(mp[r]);
    }
    GUARD(arena) held = arena_change();
    struct arena_cell *c = arena_cell(place->list.cell);
    c->text_virt = place->virt[TEXT], c->text_phys = place->phys[TEXT], c->text_bytes = (uint32_t)place->used[TEXT];
    c->rodata_virt = place->virt[RODATA], c->rodata_phys = place->phys[RODATA];
    c->rodata_bytes = (uint32_t)place->used[RODATA];
    c->data_virt = place->virt[DATA], c->data_phys = place->phys[DATA], c->data_bytes = (uint32_t)place->used[DATA];
    arena_seal(place->list.cell);
    return ERR_OK;
}

/* ---- symbols ---- */

/* Whether a symbol gets a record: all functions with names, for fault reports, and all that is exported. */
static bool is_known(const struct elf_symbol *s, uint32_t kind, uint32_t access, const char *name)
{
    unsigned type = s->info & 15;

    if (access)
        return true;
    return name[0] && name[0] != '.' && kind == SECTION_TEXT && (type == ELF_FUNCTION || type == ELF_NOTYPE);
}

static enum err add_symbols(struct link *link, struct report *report)
{
    const struct object *object = &link->object;
    struct elf_symbol s;

    for (uint32_t i = 1; i < object->symbols; i++) {
        object_symbol(object, i, &s);
        struct section_ref section = link_section(link, s.section);
        if (!section.index)
            continue;
        struct note_symbol note = object_export_of(object, i);
        const char *name = object_symbol_name(object, &s);
        if (!is_known(&s, arena_section(section)->kind, note.access, name))
            continue;
        GUARD(arena) held = arena_change();
        if (!link_add_symbol(link->cell, section, name, s.value, s.size, &note).index)
            return arena_refuse_full(ARENA_SYMBOLS, report);
    }
    return ERR_OK;
}

static struct section_ref function_section(const struct link *link, uint32_t symbol)
{
    struct elf_symbol s;

    if (symbol == 0)
        return NO_SECTION;
    object_symbol(&link->object, symbol, &s);
    return link_section(link, s.section);
}

/* ---- the cell ---- */

static enum err add_cell(struct link *link, struct object_ref object_record, struct namespace_ref namespace_,
                         struct report *report)
{
    const struct note_cell *note = &link->object.cell;
    GUARD(arena) held = arena_change();
    struct cell_ref cell = {arena_new_named(ARENA_CELLS, note->name)};

    if (!cell.index)
        return arena_refuse_full(ARENA_CELLS, report);
    struct arena_cell *c = arena_cell(cell);
    pristine_count_cells(object_record, 1);
    c->version = note->version;
    c->kind = note->kind;
    c->flags = note->flags;
    c->pointers = (uint32_t)link->object.pointers;
    c->namespace_ = namespace_;
    c->object = object_record;
    c->state = CELL_LOADING;
    c->number = ++arena_header()->cells_made;
    arena_seal(cell);
    link->cell = cell;
    return ERR_OK;
}

static void add_functions(const struct link *link)
{
    const struct note_cell *note = &link->object.cell;
    GUARD(arena) held = arena_change();
    struct arena_cell *c = arena_cell(link->cell);

    c->init_section = function_section(link, note->init);
    c->main_section = function_section(link, note->main);
    c->transfer_section = function_section(link, note->transfer);
    c->done_section = function_section(link, note->done);
    arena_seal(link->cell);
}

enum err link_place(struct link *link, struct object_ref object_record, struct namespace_ref namespace_,
                    struct report *report)
{
    size_t bytes = link->object.sections * sizeof *link->section_of + link->object.symbols * sizeof *link->found;
    size_t frames = (bytes + FRAME_BYTES - 1) / FRAME_BYTES;
    enum err err;

    link->cell = NO_CELL;
    link->section_of = NULL;
    if (frame_alloc(frames, &link->section_of_phys))
        return report_refuse(report, ERR_NOMEM, "no memory to load cell %s", link->object.cell.name);
    link->section_of = page_direct(link->section_of_phys);
    link->section_of_frames = frames;
    memset(link->section_of, 0, frames * FRAME_BYTES);
    link->found = (void *)(link->section_of + link->object.sections);
    if ((err = add_cell(link, object_record, namespace_, report)))
        return err;
    struct place place = {.link = link, .list = {.cell = link->cell}};
    if (link->image)
        err = image_place(link, &place.list, report);
    else if (!(err = lay_out(&place, false, report)) && !(err = map_regions(&place, report)))
        err = lay_out(&place, true, report);
    if (err || (err = add_symbols(link, report)))
        return err;
    add_functions(link);
    return ERR_OK;
}

void link_forget_sections(struct link *link)
{
    if (link->section_of)
        frame_free(link->section_of_phys, link->section_of_frames);
    link->section_of = NULL;
}
