/* Lookups by name and by address. Invariant: the tables are authoritative. A record that an index names is checked
 * against its table; "there is none" is believed only of an index that is sound and not being changed, else the tables
 * are walked. */
#include "cells/core/arena/inside.h"
#include "cells/core/page/page.h"
#include "cells/lib/hash_table/hash_table.h"
#include "cells/lib/string/string.h"
#include "guest/abi/layout.h"

#define PAGE_BYTES 4096u

static uint32_t used(enum arena_table table)
{
    return arena_header()->table[table].used;
}

/* The key of a name in a namespace, for cells and symbols. */
static uint32_t name_key(struct namespace_ref namespace_, uint32_t name)
{
    return hash_number(name) + namespace_.index * 0x85ebca6bu;
}

static uint32_t page_of(uint64_t virt)
{
    return (uint32_t)((virt - LAYOUT_IMAGE_VIRT) / PAGE_BYTES);
}

/* Not the page itself: the pages of a cell would form one long run of slots. */
static uint32_t page_key(uint32_t page)
{
    return hash_number(page);
}

/* Whether an index that had no entry can be believed: it is sound, and nobody but this CPU has changed it since
 * `generation` was read. */
static bool is_steady(uint64_t generation)
{
    if (index_is_suspect())
        return false;
    return arena_changes() ||
           (generation % 2 == 0 && __atomic_load_n(&arena_header()->generation, __ATOMIC_ACQUIRE) == generation);
}

static uint64_t generation(void)
{
    return __atomic_load_n(&arena_header()->generation, __ATOMIC_ACQUIRE);
}

/* ---- keeping the indexes ---- */

/* The entry of the page for section `section`, or for one of cell `cell`, or none. */
static struct section_ref page_entry_of(uint32_t page, struct section_ref section, struct cell_ref cell)
{
    const struct arena_section *s;
    struct section_ref entry;
    uint32_t place = 0;

    while ((entry.index = index_next(INDEX_PAGES, page_key(page), &place)))
        if (same(entry, section) || ((s = peek_section(entry)) && same(s->cell, cell)))
            break;
    return entry;
}

/* A page has one entry for each cell with bytes in it: the cell's first section there. */
static void add_pages(struct section_ref section) NEEDS(arena_writer)
{
    struct arena_section *s = arena_section(section);

    if (s->indexed || !s->bytes || s->virt < LAYOUT_IMAGE_VIRT)
        return;
    s->indexed = 1;
    for (uint32_t page = page_of(s->virt); page <= page_of(s->virt + s->bytes - 1); page++)
        if (!page_entry_of(page, section, s->cell).index && !index_put(INDEX_PAGES, page_key(page), section.index))
            return; /* no room: the rest is found by walking the table */
}

static void drop_pages(struct section_ref section) NEEDS(arena_writer)
{
    struct arena_section *s = arena_section(section);

    if (!s->indexed)
        return;
    for (uint32_t page = page_of(s->virt); page <= page_of(s->virt + s->bytes - 1); page++)
        if (same(page_entry_of(page, section, NO_CELL), section))
            index_remove(INDEX_PAGES, page_key(page), section.index);
}

static void drop_name(struct cell_ref cell) NEEDS(arena_writer)
{
    struct arena_cell *c = arena_cell(cell);

    if (c->indexed)
        index_remove(INDEX_CELLS, c->indexed, cell.index);
    c->indexed = 0;
}

/* Adds the cell by its present name and namespace. */
static void add_name(struct cell_ref cell) NEEDS(arena_writer)
{
    struct arena_cell *c = arena_cell(cell);
    uint32_t key = name_key(c->namespace_, c->name) | 1;

    if (c->indexed == key)
        return;
    drop_name(cell);
    c->indexed = key;
    if (!index_put(INDEX_CELLS, key, cell.index))
        index_suspect();
}

void find_add(enum arena_table table, uint32_t index)
{
    if (table == ARENA_CELLS)
        add_name((struct cell_ref){index});
    else if (table == ARENA_SECTIONS)
        add_pages((struct section_ref){index});
}

void find_drop(enum arena_table table, uint32_t index)
{
    if (table == ARENA_CELLS)
        drop_name((struct cell_ref){index});
    else if (table == ARENA_SECTIONS)
        drop_pages((struct section_ref){index});
    else if (table == ARENA_SYMBOLS)
        arena_symbol_retract((struct symbol_ref){index});
}

void arena_symbol_publish(struct symbol_ref symbol)
{
    struct arena_symbol *s = arena_symbol(symbol);

    if (!s->published && !index_put(INDEX_SYMBOLS, name_key(s->namespace_, s->name), symbol.index))
        index_suspect();
    s->published = 1;
}

void arena_symbol_retract(struct symbol_ref symbol)
{
    struct arena_symbol *s = arena_symbol(symbol);

    if (s->published)
        index_remove(INDEX_SYMBOLS, name_key(s->namespace_, s->name), symbol.index);
    s->published = 0;
}

UNCHECKED void find_rebuild(void)
{
    struct arena_section *s;
    struct arena_symbol *y;
    struct arena_cell *c;

    strings_rebuild();
    arena_recount();
    index_init();
    for (struct cell_ref cell = {1}; cell.index < used(ARENA_CELLS) && (c = peek_cell(cell)); cell.index++) {
        c->indexed = 0;
        if (c->check)
            add_name(cell);
    }
    for (struct section_ref section = {1}; section.index < used(ARENA_SECTIONS) && (s = peek_section(section));
         section.index++) {
        s->indexed = 0;
        if (s->check)
            add_pages(section);
    }
    for (struct symbol_ref symbol = {1}; symbol.index < used(ARENA_SYMBOLS) && (y = peek_symbol(symbol));
         symbol.index++) {
        bool published = y->check && y->published;
        y->published = 0;
        if (published)
            arena_symbol_publish(symbol);
    }
}

/* ---- by name ---- */

static bool is_named(uint32_t name, const char *text)
{
    return string_equal(arena_string(name), text);
}

static struct symbol_ref walk_symbols(struct namespace_ref namespace_, const char *name)
{
    struct symbol_ref symbol = {1};
    const struct arena_symbol *s;

    for (; symbol.index < used(ARENA_SYMBOLS) && (s = peek_symbol(symbol)); symbol.index++)
        if (s->check && s->published && same(s->namespace_, namespace_) && is_named(s->name, name))
            return symbol;
    return NO_SYMBOL;
}

static struct symbol_ref find_symbol(struct namespace_ref namespace_, const char *name)
{
    uint64_t before = generation();
    uint32_t text = string_find(name), key = name_key(namespace_, text), place = 0;
    const struct arena_symbol *s;
    struct symbol_ref symbol;

    while (text && (symbol.index = index_next(INDEX_SYMBOLS, key, &place)))
        if ((s = peek_symbol(symbol)) && s->published && s->name == text && same(s->namespace_, namespace_))
            return symbol;
    return is_steady(before) ? NO_SYMBOL : walk_symbols(namespace_, name);
}

/* Of the records of one name: the live cell, else the absence, else the cell that is being loaded; or none. */
static struct cell_ref walk_cells(struct namespace_ref namespace_, const char *name)
{
    struct cell_ref cell = {1}, other = {};
    const struct arena_cell *c;

    for (; cell.index < used(ARENA_CELLS) && (c = peek_cell(cell)); cell.index++) {
        if (!same(c->namespace_, namespace_) || !is_named(c->name, name))
            continue;
        if (c->state == CELL_LIVE)
            return cell;
        if (c->state == CELL_ABSENT || (c->state == CELL_LOADING && !other.index))
            other = cell;
    }
    return other;
}

static struct cell_ref find_cell(struct namespace_ref namespace_, const char *name)
{
    uint64_t before = generation();
    uint32_t text = string_find(name), key = name_key(namespace_, text) | 1, place = 0;
    struct cell_ref cell, other = {};
    const struct arena_cell *c;

    while (text && (cell.index = index_next(INDEX_CELLS, key, &place))) {
        if (!(c = peek_cell(cell)) || c->name != text || !same(c->namespace_, namespace_))
            continue;
        if (c->state == CELL_LIVE)
            return cell;
        if (c->state == CELL_ABSENT || (c->state == CELL_LOADING && !other.index))
            other = cell;
    }
    return is_steady(before) ? other : walk_cells(namespace_, name);
}

struct symbol_ref arena_symbol_find(struct namespace_ref namespace_, const char *name)
{
    const struct arena_namespace *ns;
    struct symbol_ref found = {};

    for (uint32_t n = 0; n < used(ARENA_NAMESPACES) && !found.index && (ns = peek_namespace(namespace_)); n++) {
        found = find_symbol(namespace_, name);
        namespace_ = ns->parent;
    }
    return found;
}

struct cell_ref arena_cell_find(struct namespace_ref namespace_, const char *name)
{
    const struct arena_namespace *ns;
    struct cell_ref found = {};

    for (uint32_t n = 0; n < used(ARENA_NAMESPACES) && !found.index && (ns = peek_namespace(namespace_)); n++) {
        found = find_cell(namespace_, name);
        namespace_ = ns->parent;
    }
    return found.index && peek_cell(found)->state == CELL_ABSENT ? NO_CELL : found;
}

/* ---- by address ---- */

static bool within(uint64_t virt, uint64_t start, uint64_t bytes)
{
    return virt - start < bytes;
}

static bool holds(const struct arena_cell *c, uint64_t virt)
{
    return c->state != CELL_FREE &&
           (within(virt, c->text_virt, c->text_bytes) || within(virt, c->rodata_virt, c->rodata_bytes) ||
            within(virt, c->data_virt, c->data_bytes));
}

/* The first section in the page of `virt` that belongs to the cell in whose memory `virt` is, and that cell; or none.
 * */
static struct section_ref first_in_page(uint64_t virt, struct cell_ref *ret_cell)
{
    const struct arena_section *s;
    const struct arena_cell *c;
    struct section_ref section;
    uint32_t place = 0;

    while ((section.index = index_next(INDEX_PAGES, page_key(page_of(virt)), &place)))
        if ((s = peek_section(section)) && s->check && (c = peek_cell(s->cell)) && holds(c, virt)) {
            *ret_cell = s->cell;
            break;
        }
    return section;
}

struct cell_ref arena_cell_at(uint64_t virt)
{
    const struct arena_cell *c;
    struct cell_ref cell;

    if (virt < LAYOUT_IMAGE_VIRT)
        return NO_CELL;
    if (first_in_page(virt, &cell).index)
        return cell;
    for (cell.index = 1; cell.index < used(ARENA_CELLS) && (c = peek_cell(cell)); cell.index++)
        if (holds(c, virt))
            return cell;
    return NO_CELL;
}

/* The section at `virt`, from `section` of a cell's list on. The list is sorted by address within a region. */
static struct section_ref walk_page(struct section_ref section, uint64_t virt)
{
    const struct arena_section *s;

    for (uint32_t steps = 0; steps <= PAGE_BYTES && (s = peek_section(section)); steps++) {
        if (within(virt, s->virt, s->bytes))
            return section;
        if (s->virt > virt)
            break;
        section = s->next_in_cell;
    }
    return NO_SECTION;
}

static struct section_ref walk_sections(struct cell_ref cell, uint64_t virt)
{
    const struct arena_cell *c = peek_cell(cell);
    struct section_ref section = c ? c->first_section : NO_SECTION;
    const struct arena_section *s;

    for (uint32_t steps = 0; steps < used(ARENA_SECTIONS) && (s = peek_section(section)); steps++) {
        if (within(virt, s->virt, s->bytes))
            return section;
        section = s->next_in_cell;
    }
    return NO_SECTION;
}

struct section_ref arena_section_at(uint64_t virt)
{
    struct section_ref found;
    struct cell_ref cell = {};

    if (virt < LAYOUT_IMAGE_VIRT)
        return NO_SECTION;
    found = walk_page(first_in_page(virt, &cell), virt);
    return found.index ? found : walk_sections(cell.index ? cell : arena_cell_at(virt), virt);
}

void arena_name_at(uint64_t virt, char *ret_name, size_t bytes)
{
    struct section_ref section = arena_section_at(virt);
    const struct arena_section *s = peek_section(section);
    const struct arena_cell *cell = s ? peek_cell(s->cell) : NULL;
    struct symbol_ref symbol = cell ? cell->first_symbol : NO_SYMBOL;
    const struct arena_symbol *y;
    uint32_t name = s ? s->name : 0;

    for (uint32_t steps = 0; s && steps < used(ARENA_SYMBOLS) && (y = peek_symbol(symbol)); steps++) {
        if (same(y->section, section) && within(virt - s->virt, y->offset, y->bytes)) {
            name = y->name;
            break;
        }
        symbol = y->next_in_cell;
    }
    string_copy(ret_name, arena_string(name), bytes);
}
