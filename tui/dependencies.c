/* See dependencies.h. */
#include "tui/dependencies.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { BY_BYTES = 300, FOUND = 512 };

/* One cell at the other end. */
struct other {
    struct cell_ref cell;
    size_t times;
    char by[BY_BYTES]; /* "channel_send x3, channel_new": what is used, or who uses */
    struct section_ref last;
    size_t last_times;
};

struct others {
    struct other *item; /* owned */
    size_t count;
};

static void others_done(struct others *others)
{
    free(others->item);
}

static struct other *other_of(struct others *others, struct cell_ref cell)
{
    for (size_t i = 0; i < others->count; i++)
        if (same(others->item[i].cell, cell))
            return &others->item[i];
    struct other *item = reallocarray(others->item, others->count + 1, sizeof *item);
    if (!item)
        return NULL;
    others->item = item;
    item[others->count] = (struct other){.cell = cell};
    return &item[others->count++];
}

static const char *short_name(const struct view *view, struct section_ref section)
{
    const char *name = view_section_name(view, section), *text = ".text.";

    return strncmp(name, text, strlen(text)) == 0 && name[strlen(text)] ? name + strlen(text) : name;
}

/* Writes how often the section that came last has come. */
static void end_section(struct other *other)
{
    size_t used = strlen(other->by);

    if (other->last_times > 1)
        snprintf(other->by + used, sizeof other->by - used, " x%zu", other->last_times);
    other->last_times = 0;
}

static void add_edge(const struct view *view, struct others *others, struct section_ref there)
{
    const struct arena_section *section = view_section(view, there);
    struct other *other = section ? other_of(others, section->cell) : NULL;

    if (!other)
        return;
    other->times++;
    if (other->last_times && same(other->last, there)) {
        other->last_times++;
        return;
    }
    end_section(other);
    size_t used = strlen(other->by);
    snprintf(other->by + used, sizeof other->by - used, "%s%s", used ? ", " : "", short_name(view, there));
    other->last = there;
    other->last_times = 1;
}

/* The most often used first; of equal ones, in order of their records, so that rows are stable. */
static int compare_others(const void *a, const void *b)
{
    const struct other *x = a, *y = b;

    if (x->times != y->times)
        return x->times < y->times ? 1 : -1;
    return (x->cell.index > y->cell.index) - (x->cell.index < y->cell.index);
}

/* What is named is always a section of the cell of the other row: who uses it, or what is used. */
static void collect(const struct view *view, struct cell_ref cell, bool outgoing, struct others *ret)
{
    struct edge_walk walk = view_walk_edges(view, cell, outgoing);
    struct section_ref there;
    struct edge_ref edge;

    while (edge_walk_next(&walk, &edge, &there))
        add_edge(view, ret, there);
    for (size_t i = 0; i < ret->count; i++)
        end_section(&ret->item[i]);
    if (ret->count)
        qsort(ret->item, ret->count, sizeof *ret->item, compare_others);
}

static void print_others(const struct view *view, const struct others *others, uint64_t base, struct list *list)
{
    char name[QUALIFIED_BYTES];

    for (size_t i = 0; i < others->count; i++) {
        const struct other *o = &others->item[i];
        qualified_name(view, o->cell, name, sizeof name);
        list_print(list, base + o->cell.index, STYLE_PLAIN, (struct link){LINK_DEPENDENCIES, o->cell.index},
                   "  %-22s x%-5zu %s", name, o->times, o->by);
    }
}

/* ---- through others ---- */

struct reach {
    struct cell_ref *cell, *by; /* owned: in the order that they are found, and through which of them */
    size_t count, room;
    uint8_t *seen; /* owned: by index */
};

static void reach_done(struct reach *reach)
{
    free(reach->cell);
    free(reach->by);
    free(reach->seen);
}

static void reach_add(struct reach *reach, struct cell_ref cell, struct cell_ref by)
{
    if (cell.index >= reach->room || reach->seen[cell.index] || reach->count == reach->room)
        return;
    reach->seen[cell.index] = 1;
    reach->cell[reach->count] = cell;
    reach->by[reach->count++] = by;
}

static bool reach_open(const struct view *view, struct reach *reach)
{
    size_t room = 1;

    view_each_cell (cell, view)
        room = cell.index + 1;
    *reach = (struct reach){.room = room,
                            .cell = calloc(room, sizeof *reach->cell),
                            .by = calloc(room, sizeof *reach->by),
                            .seen = calloc(room, 1)};
    return reach->cell && reach->by && reach->seen;
}

/* Lists who uses a user of the cell, and so on, each with the cell by which it was reached first. */
static void print_through_others(const struct view *view, struct cell_ref cell, struct list *list)
{
    CLOSED_BY(reach_done) struct reach reach;
    struct cell_ref found[FOUND];
    char name[QUALIFIED_BYTES], by[QUALIFIED_BYTES];
    size_t direct = 0;

    if (!reach_open(view, &reach))
        return;
    reach_add(&reach, cell, cell);
    for (size_t at = 0; at < reach.count; at++) {
        size_t count = view_dependents(view, reach.cell[at], found, FOUND);
        for (size_t i = 0; i < count && i < FOUND; i++)
            reach_add(&reach, found[i], reach.cell[at]);
        direct = at ? direct : reach.count;
    }
    list_print(list, 3, STYLE_KEY, (struct link){0}, "used through others by %zu more", reach.count - direct);
    for (size_t i = direct; i < reach.count; i++) {
        qualified_name(view, reach.cell[i], name, sizeof name);
        qualified_name(view, reach.by[i], by, sizeof by);
        list_print(list, 3ull << 32 | reach.cell[i].index, STYLE_DIM,
                   (struct link){LINK_DEPENDENCIES, reach.cell[i].index}, "  %-22s        by way of %s", name, by);
    }
}

void page_list_dependencies(const struct view *view, struct place place, struct list *list)
{
    CLOSED_BY(others_done) struct others users = {0}, needs = {0};

    if (!view_cell(view, place.cell))
        return;
    collect(view, place.cell, false, &users);
    collect(view, place.cell, true, &needs);
    list_print(list, 1, STYLE_KEY, (struct link){0}, "used by %zu cells", users.count);
    print_others(view, &users, 1ull << 32, list);
    list_print(list, 2, STYLE_KEY, (struct link){0}, "uses %zu cells", needs.count);
    print_others(view, &needs, 2ull << 32, list);
    print_through_others(view, place.cell, list);
}
