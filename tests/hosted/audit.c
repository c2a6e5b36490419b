/* See audit.h. Walks everything: for tests, which have little. */
#include "tests/hosted/audit.h"
#include "cells/kernel/arena/arena.h"
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

/* What one walk has come upon; each record must be met once. */
static struct {
    size_t sections, symbols, out, in;
    uint32_t holders[ARENA_CELLS_MAX], cells[ARENA_OBJECTS_MAX];
} met;

/* Records of the tables, from 0. What the image consists of changes its lists only, and its sums need no look. */
static const struct arena_cell *cells;
static const struct arena_section *sections;
static const struct arena_edge *edges;

UNCOVERED static const char *audit_out(uint32_t section, bool whole)
{
    const struct arena_section *s = &sections[section];
    uint32_t count = 0, last = 0;

    for (uint32_t e = s->first_out; e; last = e, e = edges[e].next_out, count++)
        if (e >= ARENA_EDGES_MAX || !edges[e].check || (whole && !arena_sound(ARENA_EDGES, e)) ||
            edges[e].from != section || edges[e].prev_out != last || count == ARENA_EDGES_MAX)
            return say("edge %u does not belong to those from section %u", e, section);
    met.out += count;
    return count == s->outgoing ? NULL : say("section %u has %u edges, and says %u", section, count, s->outgoing);
}

UNCOVERED static const char *audit_in(uint32_t section)
{
    const struct arena_section *s = &sections[section];
    uint32_t count = 0, last = 0;

    for (uint32_t e = s->first_in; e; last = e, e = edges[e].next_in, count++) {
        if (e >= ARENA_EDGES_MAX || !edges[e].check || edges[e].to != section || edges[e].prev_in != last ||
            count == ARENA_EDGES_MAX)
            return say("edge %u does not belong to those to section %u", e, section);
        met.holders[s->cell] += sections[edges[e].from].cell != s->cell;
    }
    met.in += count;
    return count == s->incoming ? NULL : say("section %u has %u edges to it, and says %u", section, count, s->incoming);
}

static const char *audit_symbols(uint32_t cell)
{
    const struct arena_cell *c = arena_cell(cell);

    for (uint32_t i = c->first_symbol; i; i = arena_symbol(i)->next_in_cell) {
        if (!is_used(ARENA_SYMBOLS, i) || !arena_sound(ARENA_SYMBOLS, i) || ++met.symbols > ARENA_SYMBOLS_MAX)
            return say("symbol %u of cell %u is damaged", i, cell);
        const struct arena_symbol *s = arena_symbol(i);
        if (!is_used(ARENA_SECTIONS, s->section) || arena_section(s->section)->cell != cell ||
            s->namespace_ != c->namespace_)
            return say("symbol %u is in no section of its cell %u", i, cell);
        if (s->published && (c->state != CELL_LIVE || !arena_symbol_find(s->namespace_, arena_string(s->name))))
            return say("symbol %u of cell %u is published, and not found", i, cell);
        if (!s->published && s->access && c->state == CELL_LIVE)
            return say("symbol %u of the live cell %u is not published", i, cell);
    }
    return NULL;
}

UNCOVERED static const char *audit_cell(uint32_t cell)
{
    const struct arena_cell *c = &cells[cell];
    bool whole = !arena_in_image(c);
    uint32_t count = 0;
    const char *what = NULL;

    if (!arena_sound(ARENA_CELLS, cell) || c->state == CELL_FREE || !is_used(ARENA_NAMESPACES, c->namespace_))
        return say("cell %u is damaged", cell);
    if (c->object && !is_used(ARENA_OBJECTS, c->object))
        return say("cell %u was made from an object that is gone", cell);
    met.cells[c->object]++;
    for (uint32_t s = c->first_section; s && !what; s = sections[s].next_in_cell, count++) {
        if (s >= ARENA_SECTIONS_MAX || !sections[s].check || (whole && !arena_sound(ARENA_SECTIONS, s)) ||
            sections[s].cell != cell || count == ARENA_SECTIONS_MAX)
            return say("section %u of cell %u is damaged", s, cell);
        what = audit_out(s, whole);
        if (!what)
            what = audit_in(s);
    }
    met.sections += count;
    if (!what && count != c->sections)
        what = say("cell %u has %u sections, and says %u", cell, count, c->sections);
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
        count += symbols[i].check && arena_in_image(&cells[sections[symbols[i].section].cell]);
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
    for (uint32_t i = 1; i < arena_header()->table[ARENA_CELLS].used && !what; i++)
        what = is_used(ARENA_CELLS, i) ? audit_cell(i) : NULL;
    if (what)
        return what;
    if (met.sections != used_records(ARENA_SECTIONS) || met.symbols + image_symbols() != used_records(ARENA_SYMBOLS) ||
        met.out != used_records(ARENA_EDGES) || met.in != met.out)
        return say("%zu sections, %zu symbols and %zu edges are in use beside those of cells",
                   used_records(ARENA_SECTIONS) - met.sections,
                   used_records(ARENA_SYMBOLS) - met.symbols - image_symbols(), used_records(ARENA_EDGES) - met.out);
    for (uint32_t i = 1; i < arena_header()->table[ARENA_CELLS].used; i++)
        if (is_used(ARENA_CELLS, i) && met.holders[i] != arena_cell(i)->holders)
            return say("%u edges lead to cell %u, which says %u", met.holders[i], i, arena_cell(i)->holders);
    for (uint32_t i = 1; i < arena_header()->table[ARENA_OBJECTS].used; i++)
        if (is_used(ARENA_OBJECTS, i) && met.cells[i] != arena_object(i)->cells)
            return say("%u cells are of object %u, which says %u", met.cells[i], i, arena_object(i)->cells);
    return NULL;
}
