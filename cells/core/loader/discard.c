/* Frees cells as a group: records, edges, memory, objects. Invariant: no record refers to what is freed. A cell whose
 * loading has failed half-way is freed like any other. */
#include "cells/core/frame/frame.h"
#include "cells/core/loader/link.h"
#include "cells/core/page/page.h"

/* Whether a cell outside of its group has an edge to the cell. */
static bool held_from_outside(struct cell_ref cell, uint32_t group) NEEDS(arena_writer)
{
    for_each_section_of (s, cell)
        for_each_edge_to (e, s) {
            struct cell_ref from = arena_section(arena_edge(e)->from)->cell;
            if (!same(from, cell) && arena_cell(from)->group != group)
                return true;
        }
    return false;
}

/* Gives the cells one new group number, by which held_from_outside knows them. */
static uint32_t make_group(const struct cell_ref *cells, size_t count) NEEDS(arena_writer)
{
    static uint32_t last GUARDED_BY(arena_writer);

    if (++last == 0)
        last = 1;
    for (size_t i = 0; i < count; i++)
        arena_cell(cells[i])->group = last;
    return last;
}

size_t loader_unheld(struct cell_ref *cells, size_t count)
{
    GUARD(arena) held = arena_change();
    uint32_t group = make_group(cells, count);

    for (size_t i = 0; i < count;) {
        if (!held_from_outside(cells[i], group)) {
            i++;
            continue;
        }
        struct cell_ref stays = cells[i];
        cells[i] = cells[--count];
        cells[count] = stays;
        arena_cell(stays)->group = 0;
        i = 0; /* the cells that this one refers to are held now */
    }
    return count;
}

static void free_edges(struct cell_ref cell) NEEDS(arena_writer)
{
    for_each_section_of (s, cell) {
        struct edge_ref e;
        while ((e = arena_section(s)->first_out).index || (e = arena_section(s)->first_in).index) {
            arena_edge_unlink(e);
            arena_free(e);
        }
    }
}

static void free_records(struct cell_ref cell) NEEDS(arena_writer)
{
    struct arena_cell *c = arena_cell(cell);

    if (c->state == CELL_LIVE || c->state == CELL_LOADING)
        loader_retract_symbols(cell); /* does nothing to those that were never published */
    pristine_count_cells(c->object, -1);
    for (struct symbol_ref i = c->first_symbol, next; i.index; i = next) {
        next = arena_symbol(i)->next_in_cell;
        arena_free(i);
    }
    for (struct section_ref i = c->first_section, next; i.index; i = next) {
        next = arena_section(i)->next_in_cell;
        arena_free(i);
    }
    arena_free(cell);
}

static void unmap(uint64_t virt)
{
    if (virt)
        mapped_pages_put(page_find(virt));
}

void loader_discard(const struct cell_ref *cells, size_t count)
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
