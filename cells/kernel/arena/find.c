/* Lookups. Each goes by an index, and holds what it finds there against the tables, which alone are true; where they
 * differ, and where an index that is being changed says that there is nothing, the tables are walked. */
#include "cells/kernel/arena/inside.h"
#include "cells/kernel/page/page.h"
#include "cells/lib/string/string.h"
#include "guest/abi/layout.h"

#define PAGE_BYTES 4096u

static uint32_t used(enum arena_table table)
{
    return arena_header()->table[table].used;
}

/* For what is found by its name in a namespace. */
static uint32_t name_key(uint32_t namespace_, uint32_t name)
{
    return name * 0x9e3779b1u + namespace_ * 0x85ebca6bu;
}

static uint32_t page_of(uint64_t virt)
{
    return (uint32_t)((virt - LAYOUT_IMAGE_VIRT) / PAGE_BYTES);
}

/* Without a multiplication the pages of one cell would stand in a row, and runs of them in each other's way. */
static uint32_t page_key(uint32_t page)
{
    return page * 0x9e3779b1u;
}

/* Whether what an index does not have is not there: nobody changes it, or we do, and no entry of it was hit. */
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

/* The entry of the page that leads to section `section`, or to one of cell `cell`; 0: none. */
static uint32_t entry_of(uint32_t page, uint32_t section, uint32_t cell)
{
    const struct arena_section *s;
    uint32_t place = 0, i;

    while ((i = index_next(INDEX_PAGES, page_key(page), &place)))
        if (i == section || ((s = arena_peek(ARENA_SECTIONS, i)) && s->cell == cell))
            return i;
    return 0;
}

/* A page is led to the first section of each cell that has bytes in it; others of the cell follow behind that one. */
static void add_pages(uint32_t section) NEEDS(arena_writer)
{
    struct arena_section *s = arena_section(section);

    if (s->indexed || !s->bytes || s->virt < LAYOUT_IMAGE_VIRT)
        return;
    s->indexed = 1;
    for (uint32_t page = page_of(s->virt); page <= page_of(s->virt + s->bytes - 1); page++)
        if (!entry_of(page, section, s->cell) && !index_put(INDEX_PAGES, page_key(page), section))
            return; /* no room: those behind it are found by a walk */
}

static void drop_pages(uint32_t section) NEEDS(arena_writer)
{
    struct arena_section *s = arena_section(section);

    if (!s->indexed)
        return;
    for (uint32_t page = page_of(s->virt); page <= page_of(s->virt + s->bytes - 1); page++)
        if (entry_of(page, section, 0) == section)
            index_remove(INDEX_PAGES, page_key(page), section);
}

static void drop_name(uint32_t cell) NEEDS(arena_writer)
{
    struct arena_cell *c = arena_cell(cell);

    if (c->indexed)
        index_remove(INDEX_CELLS, c->indexed, cell);
    c->indexed = 0;
}

/* By the name and namespace that it has now. */
static void add_name(uint32_t cell) NEEDS(arena_writer)
{
    struct arena_cell *c = arena_cell(cell);
    uint32_t key = name_key(c->namespace_, c->name) | 1;

    if (c->indexed == key)
        return;
    drop_name(cell);
    c->indexed = key;
    if (!index_put(INDEX_CELLS, key, cell))
        index_suspect();
}

void find_add(enum arena_table table, uint32_t index)
{
    if (table == ARENA_CELLS)
        add_name(index);
    else if (table == ARENA_SECTIONS)
        add_pages(index);
}

void find_drop(enum arena_table table, uint32_t index)
{
    if (table == ARENA_CELLS)
        drop_name(index);
    else if (table == ARENA_SECTIONS)
        drop_pages(index);
    else if (table == ARENA_SYMBOLS)
        arena_symbol_retract(index);
}

void arena_symbol_publish(uint32_t symbol)
{
    struct arena_symbol *s = arena_symbol(symbol);

    if (!s->published && !index_put(INDEX_SYMBOLS, name_key(s->namespace_, s->name), symbol))
        index_suspect();
    s->published = 1;
}

void arena_symbol_retract(uint32_t symbol)
{
    struct arena_symbol *s = arena_symbol(symbol);

    if (s->published)
        index_remove(INDEX_SYMBOLS, name_key(s->namespace_, s->name), symbol);
    s->published = 0;
}

UNCHECKED void find_rebuild(void)
{
    struct arena_symbol *symbol;
    struct arena_section *s;
    struct arena_cell *c;

    strings_rebuild();
    index_init();
    for (uint32_t i = 1; i < used(ARENA_CELLS) && (c = arena_peek(ARENA_CELLS, i)); i++) {
        c->indexed = 0;
        if (c->check)
            add_name(i);
    }
    for (uint32_t i = 1; i < used(ARENA_SECTIONS) && (s = arena_peek(ARENA_SECTIONS, i)); i++) {
        s->indexed = 0;
        if (s->check)
            add_pages(i);
    }
    for (uint32_t i = 1; i < used(ARENA_SYMBOLS) && (symbol = arena_peek(ARENA_SYMBOLS, i)); i++) {
        bool published = symbol->check && symbol->published;
        symbol->published = 0;
        if (published)
            arena_symbol_publish(i);
    }
}

/* ---- by name ---- */

static bool is_named(uint32_t name, const char *text)
{
    return string_equal(arena_string(name), text);
}

static uint32_t walk_symbols(uint32_t namespace_, const char *name)
{
    const struct arena_symbol *s;

    for (uint32_t i = 1; i < used(ARENA_SYMBOLS) && (s = arena_peek(ARENA_SYMBOLS, i)); i++)
        if (s->check && s->published && s->namespace_ == namespace_ && is_named(s->name, name))
            return i;
    return 0;
}

static uint32_t find_symbol(uint32_t namespace_, const char *name)
{
    uint64_t before = generation();
    uint32_t text = string_find(name), key = name_key(namespace_, text), place = 0, i;
    const struct arena_symbol *s;

    while (text && (i = index_next(INDEX_SYMBOLS, key, &place)))
        if ((s = arena_peek(ARENA_SYMBOLS, i)) && s->published && s->name == text && s->namespace_ == namespace_)
            return i;
    return is_steady(before) ? 0 : walk_symbols(namespace_, name);
}

/* A live cell, else one that is being loaded. */
static uint32_t walk_cells(uint32_t namespace_, const char *name)
{
    const struct arena_cell *c;
    uint32_t loading = 0;

    for (uint32_t i = 1; i < used(ARENA_CELLS) && (c = arena_peek(ARENA_CELLS, i)); i++) {
        if (c->namespace_ != namespace_ || !is_named(c->name, name))
            continue;
        if (c->state == CELL_LIVE)
            return i;
        loading = c->state == CELL_LOADING ? i : loading;
    }
    return loading;
}

static uint32_t find_cell(uint32_t namespace_, const char *name)
{
    uint64_t before = generation();
    uint32_t text = string_find(name), key = name_key(namespace_, text) | 1, place = 0, loading = 0, i;
    const struct arena_cell *c;

    while (text && (i = index_next(INDEX_CELLS, key, &place))) {
        if (!(c = arena_peek(ARENA_CELLS, i)) || c->name != text || c->namespace_ != namespace_)
            continue;
        if (c->state == CELL_LIVE)
            return i;
        loading = c->state == CELL_LOADING ? i : loading;
    }
    return is_steady(before) ? loading : walk_cells(namespace_, name);
}

/* In the namespace, and in those behind it. */
static uint32_t search(uint32_t namespace_, const char *name, uint32_t (*find)(uint32_t namespace_, const char *name))
{
    const struct arena_namespace *ns;
    uint32_t found = 0;

    for (int n = 0; n < ARENA_NAMESPACES_MAX && !found && (ns = arena_peek(ARENA_NAMESPACES, namespace_)); n++) {
        found = find(namespace_, name);
        namespace_ = ns->parent;
    }
    return found;
}

uint32_t arena_symbol_find(uint32_t namespace_, const char *name)
{
    return search(namespace_, name, find_symbol);
}

uint32_t arena_cell_find(uint32_t namespace_, const char *name)
{
    return search(namespace_, name, find_cell);
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

/* The first section with bytes in the page of `virt` that is of the cell which has this address; 0: no such entry. */
static uint32_t first_in_page(uint64_t virt, uint32_t *ret_cell)
{
    const struct arena_section *s;
    const struct arena_cell *c;
    uint32_t place = 0, i;

    while ((i = index_next(INDEX_PAGES, page_key(page_of(virt)), &place)))
        if ((s = arena_peek(ARENA_SECTIONS, i)) && s->check && (c = arena_peek(ARENA_CELLS, s->cell)) &&
            holds(c, virt)) {
            *ret_cell = s->cell;
            return i;
        }
    return 0;
}

uint32_t arena_cell_at(uint64_t virt)
{
    const struct arena_cell *c;
    uint32_t cell;

    if (virt < LAYOUT_IMAGE_VIRT)
        return 0;
    if (first_in_page(virt, &cell))
        return cell;
    for (uint32_t i = 1; i < used(ARENA_CELLS) && (c = arena_peek(ARENA_CELLS, i)); i++)
        if (holds(c, virt))
            return i;
    return 0;
}

/* From section `i` of a list on, which goes by address within a region: up to the page behind that of `virt`. */
static uint32_t walk_page(uint32_t i, uint64_t virt)
{
    const struct arena_section *s;

    for (uint32_t steps = 0; steps <= PAGE_BYTES && (s = arena_peek(ARENA_SECTIONS, i)); steps++) {
        if (within(virt, s->virt, s->bytes))
            return i;
        if (s->virt > virt)
            break;
        i = s->next_in_cell;
    }
    return 0;
}

static uint32_t walk_sections(uint32_t cell, uint64_t virt)
{
    const struct arena_cell *c = arena_peek(ARENA_CELLS, cell);
    uint32_t i = c ? c->first_section : 0;
    const struct arena_section *s;

    for (int steps = 0; steps < ARENA_SECTIONS_MAX && (s = arena_peek(ARENA_SECTIONS, i)); steps++) {
        if (within(virt, s->virt, s->bytes))
            return i;
        i = s->next_in_cell;
    }
    return 0;
}

uint32_t arena_section_at(uint64_t virt)
{
    uint32_t cell = 0, found = 0;

    if (virt < LAYOUT_IMAGE_VIRT)
        return 0;
    found = walk_page(first_in_page(virt, &cell), virt);
    return found ? found : walk_sections(cell ? cell : arena_cell_at(virt), virt);
}

void arena_name_at(uint64_t virt, char *ret_name, size_t bytes)
{
    uint32_t section = arena_section_at(virt);
    const struct arena_section *s = arena_peek(ARENA_SECTIONS, section);
    const struct arena_cell *cell = s ? arena_peek(ARENA_CELLS, s->cell) : NULL;
    uint32_t i = cell ? cell->first_symbol : 0;
    const struct arena_symbol *symbol;
    uint32_t name = s ? s->name : 0;

    for (int steps = 0; s && steps < ARENA_SYMBOLS_MAX && (symbol = arena_peek(ARENA_SYMBOLS, i)); steps++) {
        if (symbol->section == section && within(virt - s->virt, symbol->offset, symbol->bytes)) {
            name = symbol->name;
            break;
        }
        i = symbol->next_in_cell;
    }
    string_copy(ret_name, arena_string(name), bytes);
}
