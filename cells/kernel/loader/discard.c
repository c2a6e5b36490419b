/* Takes cells out of the arena, as a group, and frees what they had. A half-placed cell is fine. */
#include "cells/kernel/frame/frame.h"
#include "cells/kernel/loader/link.h"
#include "cells/kernel/page/page.h"

/* Whether an edge leads to the cell from one that is not of its group. */
static bool held_from_outside(uint32_t cell, uint32_t group) NEEDS(arena_writer)
{
    for (uint32_t s = arena_cell(cell)->first_section; s; s = arena_section(s)->next_in_cell)
        for (uint32_t e = arena_section(s)->first_in; e; e = arena_edge(e)->next_in) {
            uint32_t from = arena_section(arena_edge(e)->from)->cell;
            if (from != cell && (!group || arena_cell(from)->group != group))
                return true;
        }
    return false;
}

bool link_is_held(uint32_t cell)
{
    GUARD(arena) held = arena_change();

    return held_from_outside(cell, 0);
}

/* Cells of one group say so, until the next one is made. */
static uint32_t make_group(const uint32_t *cells, size_t count) NEEDS(arena_writer)
{
    static uint32_t last;

    if (++last == 0)
        last = 1;
    for (size_t i = 0; i < count; i++)
        arena_cell(cells[i])->group = last;
    return last;
}

size_t link_unheld(uint32_t *cells, size_t count)
{
    GUARD(arena) held = arena_change();
    uint32_t group = make_group(cells, count);

    for (size_t i = 0; i < count;) {
        if (!held_from_outside(cells[i], group)) {
            i++;
            continue;
        }
        uint32_t stays = cells[i];
        cells[i] = cells[--count];
        cells[count] = stays;
        arena_cell(stays)->group = 0;
        i = 0; /* what this one needs stays too */
    }
    return count;
}

static void free_edges(uint32_t cell) NEEDS(arena_writer)
{
    for (uint32_t s = arena_cell(cell)->first_section; s; s = arena_section(s)->next_in_cell) {
        uint32_t e;
        while ((e = arena_section(s)->first_out) || (e = arena_section(s)->first_in)) {
            arena_edge_unlink(e);
            arena_free(ARENA_EDGES, e);
        }
    }
}

static void free_records(uint32_t cell) NEEDS(arena_writer)
{
    struct arena_cell *c = arena_cell(cell);

    if (c->state == CELL_LIVE || c->state == CELL_LOADING)
        link_retract_symbols(cell); /* no harm to those that were never published */
    for (uint32_t i = c->first_symbol, next; i; i = next) {
        next = arena_symbol(i)->next_in_cell;
        arena_free(ARENA_SYMBOLS, i);
    }
    for (uint32_t i = c->first_section, next; i; i = next) {
        next = arena_section(i)->next_in_cell;
        arena_free(ARENA_SECTIONS, i);
    }
    keep_count(c->object, -1);
    arena_free(ARENA_CELLS, cell);
}

static void unmap(uint64_t virt)
{
    if (virt)
        mapped_pages_put(page_find(virt));
}

void link_discard(const uint32_t *cells, size_t count)
{
    {
        GUARD(arena) held = arena_change();
        for (size_t i = 0; i < count; i++)
            free_edges(cells[i]);
    }
    for (size_t i = 0; i < count; i++) {
        struct arena_cell was = *arena_cell(cells[i]);
        {
            GUARD(arena) held = arena_change();
            free_records(cells[i]);
        }
        unmap(was.text_virt);
        unmap(was.rodata_virt);
        unmap(was.data_virt);
        loader_drop_object(was.object);
    }
}
