/* See audit.h. Walks all records: tests have few. */
#include "tests/hosted/audit.h"
#include "cells/core/arena/arena.h"
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

/* Fuzzers learn nothing from what is looked at here. */
#ifdef __clang__
#define UNCOVERED __attribute__((no_sanitize("coverage")))
#else
#define UNCOVERED
#endif

static char wrong[128];

__attribute__((format(printf, 1, 2))) static const char *say(const char *format, ...)
{
    va_list args;

    va_start(args, format);
    vsnprintf(wrong, sizeof wrong, format, args);
    va_end(args);
    return wrong;
}

UNCOVERED static bool is_used(enum arena_table table, uint32_t index)
{
    return index < arena_header()->table[table].used && *(uint32_t *)arena_record(table, index);
}

/* Records that a walk has met; each must be met once. */
static struct {
    size_t sections, symbols, out, in;
    uint32_t holders[ARENA_CELLS_BASE], cells[ARENA_OBJECTS_BASE];
} met;

/* Records of the tables, from 0. What the image consists of changes its lists only, and its sums need no look. */
static const struct arena_cell *cells;
static const struct arena_section *sections;
static const struct arena_edge *edges;

UNCOVERED static const char *audit_out(struct section_ref section, bool whole)
{
    const struct arena_section *s = &sections[section.index];
    struct edge_ref last = {};
    uint32_t count = 0;

    for (struct edge_ref e = s->first_out; e.index; last = e, e = edges[e.index].next_out, count++) {
        const struct arena_edge *edge = &edges[e.index];
        if (e.index >= ARENA_EDGES_BASE || !edge->check || (whole && !arena_sound(e)) || !same(edge->from, section) ||
            !same(edge->prev_out, last) || count == ARENA_EDGES_BASE)
            return say("edge %u does not belong to those from section %u", e.index, section.index);
    }
    met.out += count;
    return count == s->outgoing ? NULL : say("section %u has %u edges, and says %u", section.index, count, s->outgoing);
}

UNCOVERED static const char *audit_in(struct section_ref section)
{
    const struct arena_section *s = &sections[section.index];
    struct edge_ref last = {};
    uint32_t count = 0;

    for (struct edge_ref e = s->first_in; e.index; last = e, e = edges[e.index].next_in, count++) {
        const struct arena_edge *edge = &edges[e.index];
        if (e.index >= ARENA_EDGES_BASE || !edge->check || !same(edge->to, section) || !same(edge->prev_in, last) ||
            count == ARENA_EDGES_BASE)
            return say("edge %u does not belong to those to section %u", e.index, section.index);
        met.holders[s->cell.index] += !same(sections[edge->from.index].cell, s->cell);
    }
    met.in += count;
    return count == s->incoming ? NULL
                                : say("section %u has %u edges to it, and says %u", section.index, count, s->incoming);
}

static const char *audit_symbols(struct cell_ref cell)
{
    const struct arena_cell *c = arena_cell(cell);

    for (struct symbol_ref i = c->first_symbol; i.index; i = arena_symbol(i)->next_in_cell) {
        if (!is_used(ARENA_SYMBOLS, i.index) || !arena_sound(i) || ++met.symbols > ARENA_SYMBOLS_BASE)
            return say("symbol %u of cell %u is damaged", i.index, cell.index);
        const struct arena_symbol *s = arena_symbol(i);
        if (!is_used(ARENA_SECTIONS, s->section.index) || !same(arena_section(s->section)->cell, cell) ||
            !same(s->namespace_, c->namespace_))
            return say("symbol %u is in no section of its cell %u", i.index, cell.index);
        if (s->published && (c->state != CELL_LIVE || !arena_symbol_find(s->namespace_, arena_string(s->name)).index))
            return say("symbol %u of cell %u is published, and not found", i.index, cell.index);
        if (!s->published && s->access && c->state == CELL_LIVE)
            return say("symbol %u of the live cell %u is not published", i.index, cell.index);
    }
    return NULL;
}

UNCOVERED static const char *audit_cell(struct cell_ref cell)
{
    const struct arena_cell *c = &cells[cell.index];
    bool whole = !arena_in_image(c);
    uint32_t count = 0;
    const char *what = NULL;

    if (!arena_sound(cell) || c->state == CELL_FREE || !is_used(ARENA_NAMESPACES, c->namespace_.index))
        return say("cell %u is damaged", cell.index);
    if (c->object.index && !is_used(ARENA_OBJECTS, c->object.index))
        return say("cell %u was made from an object that is gone", cell.index);
    met.cells[c->object.index]++;
    for (struct section_ref s = c->first_section; s.index && !what; s = sections[s.index].next_in_cell, count++) {
        if (s.index >= ARENA_SECTIONS_BASE || !sections[s.index].check || (whole && !arena_sound(s)) ||
            !same(sections[s.index].cell, cell) || count == ARENA_SECTIONS_BASE)
            return say("section %u of cell %u is damaged", s.index, cell.index);
        what = audit_out(s, whole);
        if (!what)
            what = audit_in(s);
    }
    met.sections += count;
    if (!what && count != c->sections)
        what = say("cell %u has %u sections, and says %u", cell.index, count, c->sections);
    return what || !whole ? what : audit_symbols(cell);
}

UNCOVERED static size_t used_records(enum arena_table table)
{
    const struct arena_table_desc *desc = &arena_header()->table[table];
    const uint8_t *record = (const uint8_t *)arena_record(table, 1);
    size_t count = 0;

    for (uint32_t i = 1; i < desc->used; i++, record += desc->record_bytes)
        count += *(const uint32_t *)record != 0;
    return count;
}

/* Nothing changes them but a swap of the image. */
UNCOVERED static size_t image_symbols(void)
{
    const struct arena_symbol *symbols = (const struct arena_symbol *)arena_record(ARENA_SYMBOLS, 1) - 1;
    size_t count = 0;

    for (uint32_t i = 1; i < arena_header()->table[ARENA_SYMBOLS].used; i++)
        count += symbols[i].check && arena_in_image(&cells[sections[symbols[i].section.index].cell.index]);
    return count;
}

UNCOVERED const char *audit(void)
{
    const char *what = NULL;

    memset(&met, 0, sizeof met);
    cells = (const struct arena_cell *)arena_record(ARENA_CELLS, 1) - 1;
    sections = (const struct arena_section *)arena_record(ARENA_SECTIONS, 1) - 1;
    edges = (const struct arena_edge *)arena_record(ARENA_EDGES, 1) - 1;
    if (arena_header()->generation % 2)
        return say("a change of the arena has not been ended");
    for_each_cell (cell)
        if (is_used(ARENA_CELLS, cell.index) && (what = audit_cell(cell)))
            return what;
    if (met.sections != used_records(ARENA_SECTIONS) || met.symbols + image_symbols() != used_records(ARENA_SYMBOLS) ||
        met.out != used_records(ARENA_EDGES) || met.in != met.out)
        return say("%zu sections, %zu symbols and %zu edges are in use beside those of cells",
                   used_records(ARENA_SECTIONS) - met.sections,
                   used_records(ARENA_SYMBOLS) - met.symbols - image_symbols(), used_records(ARENA_EDGES) - met.out);
    for_each_cell (cell)
        if (is_used(ARENA_CELLS, cell.index) && met.holders[cell.index] != arena_cell(cell)->holders)
            return say("%u edges refer to cell %u, which counts %u", met.holders[cell.index], cell.index,
                       arena_cell(cell)->holders);
    for_each_object (object)
        if (is_used(ARENA_OBJECTS, object.index) && met.cells[object.index] != arena_object(object)->cells)
            return say("%u cells are of object %u, which says %u", met.cells[object.index], object.index,
                       arena_object(object)->cells);
    return NULL;
}
