/* The relations between records as sorted arrays, made from the records themselves, so that no list of the guest is
 * ever followed after it was checked. */
#include <stdlib.h>
#include <string.h>
#include "introspect/inside.h"

typedef uint32_t key_function(const struct view *v, uint32_t index);
typedef uint64_t order_function(const struct view *v, uint32_t index);

static uint32_t section_cell(const struct view *v, uint32_t i)
{
    return ((const struct arena_section *)record(v, ARENA_SECTIONS, i))->cell.index;
}

static uint64_t section_virt(const struct view *v, uint32_t i)
{
    return ((const struct arena_section *)record(v, ARENA_SECTIONS, i))->virt;
}

static uint32_t symbol_section(const struct view *v, uint32_t i)
{
    return ((const struct arena_symbol *)record(v, ARENA_SYMBOLS, i))->section.index;
}

static uint32_t symbol_cell(const struct view *v, uint32_t i)
{
    return section_cell(v, symbol_section(v, i));
}

static uint64_t symbol_offset(const struct view *v, uint32_t i)
{
    return ((const struct arena_symbol *)record(v, ARENA_SYMBOLS, i))->offset;
}

static uint64_t symbol_virt(const struct view *v, uint32_t i)
{
    return section_virt(v, symbol_section(v, i)) + symbol_offset(v, i);
}

static uint32_t edge_from(const struct view *v, uint32_t i)
{
    return ((const struct arena_edge *)record(v, ARENA_EDGES, i))->from.index;
}

static uint32_t edge_to(const struct view *v, uint32_t i)
{
    return ((const struct arena_edge *)record(v, ARENA_EDGES, i))->to.index;
}

static uint64_t edge_offset(const struct view *v, uint32_t i)
{
    return ((const struct arena_edge *)record(v, ARENA_EDGES, i))->offset;
}

static uint64_t edge_source(const struct view *v, uint32_t i)
{
    return (uint64_t)edge_from(v, i) << 32 | edge_offset(v, i);
}

struct sort {
    const struct view *view;
    order_function *order;
};

static int compare_by_order(const void *a, const void *b, void *context)
{
    const struct sort *s = context;
    uint32_t i = *(const uint32_t *)a, j = *(const uint32_t *)b;
    uint64_t x = s->order(s->view, i), y = s->order(s->view, j);

    return x != y ? (x < y ? -1 : 1) : i < j ? -1 : i > j;
}

static void sort_items(const struct view *v, uint32_t *items, size_t count, order_function *order)
{
    if (count > 1)
        qsort_r(items, count, sizeof *items, compare_by_order, &(struct sort){v, order});
}

/* Counting sort by key, then each bucket by `order`. Keys are indices of usable records of table `by`. */
static enum err build_group(const struct view *v, struct group *g, enum arena_table table, enum arena_table by,
                            key_function *key, order_function *order)
{
    uint32_t buckets = v->used[by] ? v->used[by] : 1;
    uint32_t *place;

    g->buckets = buckets;
    g->start = calloc((size_t)buckets + 2, sizeof *g->start);
    g->item = calloc((size_t)v->used[table] + 1, sizeof *g->item);
    if (!g->start || !g->item)
        return ERR_NOMEM;
    place = g->start + 1; /* ends up as start: each bucket's place moves to its end, which is the next one's start */
    for (uint32_t i = 1; i < v->used[table]; i++)
        if (usable(v, table, i))
            place[key(v, i) + 1]++;
    for (uint32_t b = 0; b < buckets; b++)
        place[b + 1] += place[b];
    for (uint32_t i = 1; i < v->used[table]; i++)
        if (usable(v, table, i))
            g->item[place[key(v, i)]++] = i;
    for (uint32_t b = 0; b < buckets; b++)
        sort_items(v, g->item + g->start[b], g->start[b + 1] - g->start[b], order);
    return ERR_OK;
}

static enum err sort_sections(struct view *v)
{
    v->by_virt = calloc((size_t)v->used[ARENA_SECTIONS] + 1, sizeof *v->by_virt);
    if (!v->by_virt)
        return ERR_NOMEM;
    for (uint32_t i = 1; i < v->used[ARENA_SECTIONS]; i++) {
        const struct arena_section *s = usable(v, ARENA_SECTIONS, i);

        if (s && s->bytes > 0)
            v->by_virt[v->by_virt_count++] = i;
    }
    sort_items(v, v->by_virt, v->by_virt_count, section_virt);
    return ERR_OK;
}

enum err group_all(struct view *v)
{
    enum err e = build_group(v, &v->sections_of, ARENA_SECTIONS, ARENA_CELLS, section_cell, section_virt);

    if (!e)
        e = build_group(v, &v->symbols_of, ARENA_SYMBOLS, ARENA_CELLS, symbol_cell, symbol_virt);
    if (!e)
        e = build_group(v, &v->symbols_in, ARENA_SYMBOLS, ARENA_SECTIONS, symbol_section, symbol_offset);
    if (!e)
        e = build_group(v, &v->edges_out, ARENA_EDGES, ARENA_SECTIONS, edge_from, edge_offset);
    if (!e)
        e = build_group(v, &v->edges_in, ARENA_EDGES, ARENA_SECTIONS, edge_to, edge_source);
    return e ? e : sort_sections(v);
}

void group_free(struct view *v)
{
    struct group *all[] = {&v->sections_of, &v->symbols_of, &v->symbols_in, &v->edges_out, &v->edges_in};

    for (size_t i = 0; i < sizeof all / sizeof *all; i++) {
        free(all[i]->start);
        free(all[i]->item);
    }
    free(v->by_virt);
}

struct group_items group_list(const struct group *g, uint32_t bucket)
{
    if (bucket == 0 || bucket >= g->buckets)
        return (struct group_items){NULL, 0};
    return (struct group_items){g->item + g->start[bucket], g->start[bucket + 1] - g->start[bucket]};
}
