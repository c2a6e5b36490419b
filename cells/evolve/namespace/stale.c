/* What a namespace sees, and which cells a change in it takes along. A cell is hidden from a namespace by a nearer one
 * of the same name, or by an absence. What is inherited and depends on a hidden cell, directly or through others, would
 * have tasks use the hidden cell: it is copied. Singletons are not, and the search ends there. */
#include "cells/evolve/namespace/change.h"
#include "cells/core/panic/panic.h"
#include "cells/evolve/namespace/namespace.h"
#include "cells/lib/string/string.h"
#include "guest/abi/note.h"

EXPORT(namespace_cell, APPLICATION);
EXPORT(namespace_is_singleton, KERNEL);

/* ---- what a namespace sees ---- */

struct cell_ref namespace_cell(struct namespace_ref namespace_, const char *name)
{
    GUARD(arena) held = arena_change();

    for (uint32_t depth = 0; namespace_.index && depth < arena_header()->table[ARENA_NAMESPACES].used; depth++) {
        struct cell_ref cell = arena_cell_find(namespace_, name);
        if (!cell.index || arena_cell(cell)->state == CELL_LIVE)
            return cell;
        namespace_ = arena_namespace(arena_cell(cell)->namespace_)->parent; /* beyond one that is not ready */
    }
    return NO_CELL;
}

struct cell_ref change_absence(struct namespace_ref namespace_, const char *name)
{
    GUARD(arena) held = arena_change();

    for_each_cell (i) {
        const struct arena_cell *c = arena_cell(i);
        if (c->state == CELL_ABSENT && same(c->namespace_, namespace_) && string_equal(arena_string(c->name), name))
            return i;
    }
    return NO_CELL;
}

bool namespace_is_singleton(struct cell_ref cell)
{
    const struct arena_cell *c = arena_cell(cell);

    return arena_in_image(c) ||
           ((c->data_bytes || c->init_section.index || c->done_section.index) && !(c->flags & NOTE_PER_NAMESPACE));
}

static bool is_visible(struct namespace_ref namespace_, struct cell_ref cell)
{
    return same(namespace_cell(namespace_, name_of_cell(cell)), cell);
}

bool change_is_within(struct namespace_ref inner, struct namespace_ref outer)
{
    uint32_t used = arena_header()->table[ARENA_NAMESPACES].used;

    for (uint32_t depth = 0; inner.index && !same(inner, outer) && depth < used; depth++)
        inner = arena_namespace(inner)->parent;
    return same(inner, outer);
}

/* ---- lists ---- */

bool list_has(const struct list *list, struct cell_ref cell)
{
    for (size_t i = 0; i < list->count; i++)
        if (same(list->cell[i], cell))
            return true;
    return false;
}

void list_add(struct list *list, struct cell_ref cell)
{
    if (list_has(list, cell))
        return;
    assert(list->count < list->room);
    list->cell[list->count++] = cell;
}

/* ---- what is to be copied ---- */

static bool is_to_be_visible(const struct change *change, struct cell_ref cell)
{
    return is_visible(change->namespace_, cell) || list_has(&change->inherited, cell);
}

/* The cells that the namespace's own ones hide, and those that its ancestors' hide. */
static void add_hidden(struct change *change)
{
    struct namespace_ref namespace_ = change->namespace_;

    for_each_cell (i) {
        const struct arena_cell *c = arena_cell(i);
        if (c->state == CELL_LIVE && !same(c->namespace_, namespace_) && change_is_within(namespace_, c->namespace_) &&
            !is_to_be_visible(change, i))
            list_add(&change->hidden, i);
    }
}

/* Takes the user of a hidden or stale cell along, if the namespace sees it and does not hold it itself. */
static void add_user(struct change *change, struct cell_ref user)
{
    const struct arena_cell *c = arena_cell(user);

    if (c->state != CELL_LIVE || same(c->namespace_, change->namespace_) || list_has(&change->hidden, user) ||
        !is_to_be_visible(change, user))
        return;
    list_add(namespace_is_singleton(user) ? &change->kept : &change->stale, user);
}

static void add_users(struct change *change, struct cell_ref cell)
{
    for_each_section_of (s, cell)
        for_each_edge_to (e, s)
            add_user(change, arena_section(arena_edge(e)->from)->cell);
}

static bool is_needed(struct cell_ref cell, struct namespace_ref namespace_)
{
    for_each_section_of (s, cell)
        for_each_edge_to (e, s) {
            const struct arena_cell *user = arena_cell(arena_section(arena_edge(e)->from)->cell);
            if (same(user->namespace_, namespace_) && user->state == CELL_LIVE)
                return true;
        }
    return false;
}

/* Keeps only the requested cells, and those of the stale cells that they depend on. */
static void narrow(struct change *change)
{
    struct list *stale = &change->stale, *reached = &change->scratch;

    reached->count = 0;
    for (size_t i = 0; i < stale->count; i++)
        if (change->copies == COPY_WANTED ? same(stale->cell[i], change->wanted)
                                          : is_needed(stale->cell[i], change->namespace_))
            list_add(reached, stale->cell[i]);
    for (size_t i = 0; i < reached->count; i++)
        for_each_section_of (s, reached->cell[i])
            for_each_edge_from (e, s) {
                struct cell_ref need = arena_section(arena_edge(e)->to)->cell;
                if (list_has(stale, need))
                    list_add(reached, need);
            }
    struct list all = *stale;
    *stale = *reached;
    *reached = all;
}

/* Follows edges backwards, from the hidden cells to their users. */
void change_find_stale(struct change *change)
{
    GUARD(arena) held = arena_change();

    add_hidden(change);
    for (size_t i = 0; i < change->hidden.count; i++)
        add_users(change, change->hidden.cell[i]);
    for (size_t i = 0; i < change->stale.count; i++)
        add_users(change, change->stale.cell[i]);
    if (change->copies != COPY_ALL)
        narrow(change);
}
