/* Gives a checked object its memory: three private regions with the protection they keep, contents written through the
 * direct map, and a record for each section and symbol. Relocations are left to relocate.c. */
#include "cells/kernel/frame/frame.h"
#include "cells/kernel/loader/link.h"
#include "cells/kernel/page/page.h"
#include "cells/lib/string/string.h"

#define EH_FRAME_END 4 /* a zero length ends the unwind tables */

enum { TEXT, RODATA, DATA, REGIONS };

/* In the order in which they lie in a region: what has contents before what has none, unwind tables last. */
static const struct {
    uint32_t kind, region;
} order[] = {
    {SECTION_TEXT, TEXT},       {SECTION_RODATA, RODATA}, {SECTION_EXCEPT, RODATA},
    {SECTION_EH_FRAME, RODATA}, {SECTION_DATA, DATA},     {SECTION_BSS, DATA},
};
static const unsigned region_flags[REGIONS] = {
    [TEXT] = PAGE_CELL | PAGE_EXECUTE, [RODATA] = PAGE_CELL, [DATA] = PAGE_CELL | PAGE_WRITE};

struct place {
    struct link *link;
    struct section_list list;
    uint64_t virt[REGIONS], phys[REGIONS], used[REGIONS];
};

static enum err full(struct loader_detail *detail)
{
    return REFUSE(ERR_FULL, "a table of the arena is full; unload a cell first");
}

/* ---- records, also for nano_core.c ---- */

uint32_t link_add_section(struct section_list *list, const char *name, uint32_t kind, uint64_t virt, uint64_t phys,
                          uint32_t bytes, uint32_t align)
{
    uint32_t index = arena_new_named(ARENA_SECTIONS, name);

    if (!index)
        return 0;
    struct arena_section *s = arena_section(index);
    s->cell = list->cell;
    s->kind = kind;
    s->virt = virt;
    s->phys = phys;
    s->bytes = bytes;
    s->align = align;
    arena_seal(ARENA_SECTIONS, index);
    if (list->last) {
        arena_section(list->last)->next_in_cell = index;
        arena_seal(ARENA_SECTIONS, list->last);
    } else {
        arena_cell(list->cell)->first_section = index;
    }
    arena_cell(list->cell)->sections++;
    arena_seal(ARENA_CELLS, list->cell);
    list->last = index;
    return index;
}

uint32_t link_add_symbol(uint32_t cell, uint32_t section, const char *name, uint64_t offset, uint64_t bytes,
                         const struct note_symbol *export_)
{
    uint32_t index = arena_new_named(ARENA_SYMBOLS, name);

    if (!index)
        return 0;
    struct arena_symbol *s = arena_symbol(index);
    s->section = section;
    s->offset = (uint32_t)offset;
    s->bytes = (uint32_t)bytes;
    s->type_hash = export_->type_hash;
    s->deep_hash = export_->deep_hash;
    s->access = export_->access;
    s->namespace_ = arena_cell(cell)->namespace_;
    s->next_in_cell = arena_cell(cell)->first_symbol;
    arena_seal(ARENA_SYMBOLS, index);
    arena_cell(cell)->first_symbol = index;
    arena_seal(ARENA_CELLS, cell);
    return index;
}

void link_publish_symbols(uint32_t cell)
{
    for (uint32_t i = arena_cell(cell)->first_symbol; i; i = arena_symbol(i)->next_in_cell)
        if (arena_symbol(i)->access)
            arena_symbol_publish(i);
}

void link_retract_symbols(uint32_t cell)
{
    for (uint32_t i = arena_cell(cell)->first_symbol; i; i = arena_symbol(i)->next_in_cell)
        if (arena_symbol(i)->access)
            arena_symbol_retract(i);
}

void link_hash_section(uint32_t section)
{
    struct arena_section *s = arena_section(section);

    if (s->kind == SECTION_DATA || s->kind == SECTION_BSS)
        return;
    s->hash = arena_check(page_direct(s->phys), s->bytes);
    s->rewritten = 0;
    arena_seal(ARENA_SECTIONS, section);
}

/* ---- sections ---- */

static uint64_t align_up(uint64_t n, uint64_t align)
{
    return align > 1 ? (n + align - 1) & ~(align - 1) : n;
}

static enum err fill_section(struct place *place, uint32_t index, const struct elf_section *s, size_t step,
                             uint64_t offset, struct loader_detail *detail)
{
    const struct object *object = &place->link->object;
    unsigned region = order[step].region;
    uint64_t phys = place->phys[region] + offset;

    if (s->type != ELF_NOBITS)
        memcpy(page_direct(phys), object->data + s->offset, s->size);
    GUARD(arena) held = arena_change();
    uint32_t section =
        link_add_section(&place->list, object_section_name(object, s), order[step].kind, place->virt[region] + offset,
                         phys, (uint32_t)s->size, s->align ? (uint32_t)s->align : 1);
    if (!section)
        return full(detail);
    struct note_data note = object_data_of(object, index);
    arena_section(section)->object_index = index;
    arena_section(section)->type_hash = note.type_hash;
    arena_section(section)->deep_hash = note.deep_hash;
    arena_seal(ARENA_SECTIONS, section);
    if (order[step].kind == SECTION_EH_FRAME) {
        arena_cell(place->list.cell)->eh_frame_section = section;
        arena_seal(ARENA_CELLS, place->list.cell);
    }
    place->link->section_of[index] = section;
    return ERR_OK;
}

/* Lays the loaded sections out, and with `fill` writes them there; both passes come to the same offsets. */
static enum err lay_out(struct place *place, bool fill, struct loader_detail *detail)
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
            if (fill && (err = fill_section(place, i, &s, step, offset, detail)))
                return err;
            place->used[order[step].region] =
                offset + s.size + (order[step].kind == SECTION_EH_FRAME ? EH_FRAME_END : 0);
        }
    return ERR_OK;
}

/* The mappings belong to the cell's record from here on, which keeps where they start. */
static enum err map_regions(struct place *place, struct loader_detail *detail)
{
    struct mapped_pages *mp[REGIONS] = {0};

    for (int r = 0; r < REGIONS; r++) {
        if (place->used[r] == 0)
            continue;
        mp[r] = page_map(place->used[r], region_flags[r]);
        if (!mp[r]) {
            while (r-- > 0)
                mapped_pages_put(mp[r]);
            return REFUSE(ERR_NOMEM, "no memory for cell ", place->link->object.cell.name);
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
    arena_seal(ARENA_CELLS, place->list.cell);
    return ERR_OK;
}

/* ---- symbols ---- */

/* Functions by any name, and whatever is exported: what people and fault reports speak of. */
static bool is_known(const struct elf_symbol *s, uint32_t kind, uint32_t access, const char *name)
{
    unsigned type = s->info & 15;

    if (access)
        return true;
    return name[0] && name[0] != '.' && kind == SECTION_TEXT && (type == ELF_FUNCTION || type == ELF_NOTYPE);
}

static enum err add_symbols(struct link *link, struct loader_detail *detail)
{
    const struct object *object = &link->object;
    struct elf_symbol s;

    for (uint32_t i = 1; i < object->symbols; i++) {
        object_symbol(object, i, &s);
        uint32_t section = s.section && s.section < object->sections ? link->section_of[s.section] : 0;
        if (!section)
            continue;
        struct note_symbol note = object_export_of(object, i);
        const char *name = object_symbol_name(object, &s);
        if (!is_known(&s, arena_section(section)->kind, note.access, name))
            continue;
        GUARD(arena) held = arena_change();
        if (!link_add_symbol(link->cell, section, name, s.value, s.size, &note))
            return full(detail);
    }
    return ERR_OK;
}

static uint32_t function_section(const struct link *link, uint32_t symbol)
{
    struct elf_symbol s;

    if (symbol == 0)
        return 0;
    object_symbol(&link->object, symbol, &s);
    return s.section < link->object.sections ? link->section_of[s.section] : 0;
}

/* ---- the cell ---- */

static enum err add_cell(struct link *link, uint32_t object_record, uint32_t namespace_, struct loader_detail *detail)
{
    const struct note_cell *note = &link->object.cell;
    GUARD(arena) held = arena_change();
    uint32_t cell = arena_new_named(ARENA_CELLS, note->name);

    if (!cell)
        return full(detail);
    struct arena_cell *c = arena_cell(cell);
    keep_count(object_record, 1);
    c->version = note->version;
    c->kind = note->kind;
    c->flags = note->flags;
    c->pointers = (uint32_t)link->object.pointers;
    c->namespace_ = namespace_;
    c->object = object_record;
    c->state = CELL_LOADING;
    arena_seal(ARENA_CELLS, cell);
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
    arena_seal(ARENA_CELLS, link->cell);
}

enum err link_place(struct link *link, uint32_t object_record, uint32_t namespace_, struct loader_detail *detail)
{
    size_t bytes = link->object.sections * sizeof *link->section_of + link->object.symbols * sizeof *link->found;
    size_t frames = (bytes + FRAME_BYTES - 1) / FRAME_BYTES;
    enum err err;

    link->cell = 0;
    link->section_of = NULL;
    if (frame_alloc(frames, &link->section_of_phys))
        return REFUSE(ERR_NOMEM, "no memory to load cell ", link->object.cell.name);
    link->section_of = page_direct(link->section_of_phys);
    link->section_of_frames = frames;
    memset(link->section_of, 0, frames * FRAME_BYTES);
    link->found = link->section_of + link->object.sections;
    if ((err = add_cell(link, object_record, namespace_, detail)))
        return err;
    struct place place = {.link = link, .list = {.cell = link->cell}};
    if (link->image)
        err = image_place(link, &place.list, detail);
    else if (!(err = lay_out(&place, false, detail)) && !(err = map_regions(&place, detail)))
        err = lay_out(&place, true, detail);
    if (err || (err = add_symbols(link, detail)))
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
