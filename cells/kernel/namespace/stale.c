/* What a namespace sees, and which cells a change in it takes along. A cell is hidden from a namespace by a nearer one of the
 * same name. What is inherited and depends on a hidden cell, directly or through others, would lead tasks past what was
 * changed for them: it is copied. Singletons end the walk. */
#include "cells/kernel/namespace/change.h"
#include "cells/kernel/namespace/namespace.h"
#include "guest/abi/note.h"

EXPORT(namespace_cell, APPLICATION);
EXPORT(namespace_is_singleton, KERNEL);

/* ---- what a namespace sees ---- */

uint32_t namespace_cell(uint32_t namespace_, const char *name)
{
    GUARD(arena) held = arena_change();

    for (int depth = 0; namespace_ && depth < ARENA_NAMESPACES_MAX; depth++) {
        uint32_t cell = arena_cell_find(namespace_, name);
        if (!cell || arena_cell(cell)->state == CELL_LIVE)
            return cell;
        namespace_ = arena_namespace(arena_cell(cell)->namespace_)->parent; /* beyond one that is not ready */
    }
    return 0;
}

bool namespace_is_singleton(uint32_t cell)
{
    const struct arena_cell *c = arena_cell(cell);

    return arena_in_image(c) ||
           ((c->data_bytes || c->init_section || c->done_section) && !(c->flags & NOTE_PER_NAMESPACE));
}

static bool is_visible(uint32_t namespace_, uint32_t cell)
{
    return namespace_cell(namespace_, name_of(cell)) == cell;
}

bool change_is_within(uint32_t inner, uint32_t outer)
{
    for (int depth = 0; inner && inner != outer && depth < ARENA_NAMESPACES_MAX; depth++)
        inner = arena_namespace(inner)->parent;
    return inner == outer;
}

/* ---- lists ---- */

bool list_has(const struct list *list, uint32_t cell)
{
    for (size_t i = 0; i < list->count; i++)
        if (list->cell[i] == cell)
            return true;
    return false;
}

void list_add(struct list *list, uint32_t cell)
{
    if (!list_has(list, cell))
        list->cell[list->count++] = cell;
}

/* ---- what is to be copied ---- */

/* The cells that the namespace's own ones hide, and those that its ancestors' hide. */
static void add_hidden(struct list *hidden, uint32_t namespace_)
{
    uint32_t used = arena_header()->table[ARENA_CELLS].used;

    for (uint32_t i = 1; i < used; i++) {
        const struct arena_cell *c = arena_cell(i);
        if (c->state == CELL_LIVE && c->namespace_ != namespace_ && change_is_within(namespace_, c->namespace_) &&
            !is_visible(namespace_, i))
            list_add(hidden, i);
    }
}

/* Takes the user of a hidden or stale cell along, if the namespace comes upon it and does not hold it itself. */
static void add_user(struct change *change, uint32_t user)
{
    const struct arena_cell *c = arena_cell(user);

    if (c->state != CELL_LIVE || c->namespace_ == change->namespace_ || list_has(&change->hidden, user) ||
        !is_visible(change->namespace_, user))
        return;
    list_add(namespace_is_singleton(user) ? &change->kept : &change->stale, user);
}

static void add_users(struct change *change, uint32_t cell)
{
    for (uint32_t s = arena_cell(cell)->first_section; s; s = arena_section(s)->next_in_cell)
        for (uint32_t e = arena_section(s)->first_in; e; e = arena_edge(e)->next_in)
            add_user(change, arena_section(arena_edge(e)->from)->cell);
}

static bool is_needed(uint32_t cell, uint32_t namespace_)
{
    for (uint32_t s = arena_cell(cell)->first_section; s; s = arena_section(s)->next_in_cell)
        for (uint32_t e = arena_section(s)->first_in; e; e = arena_edge(e)->next_in) {
            const struct arena_cell *user = arena_cell(arena_section(arena_edge(e)->from)->cell);
            if (user->namespace_ == namespace_ && user->state == CELL_LIVE)
                return true;
        }
    return false;
}

/* Leaves those of the stale cells that are asked for, and what these come to. */
static void narrow(struct change *change)
{
    struct list *stale = &change->stale, *reached = &change->scratch;

    reached->count = 0;
    for (size_t i = 0; i < stale->count; i++)
        if (change->copies == COPY_WANTED ? stale->cell[i] == change->wanted
                                          : is_needed(stale->cell[i], change->namespace_))
            list_add(reached, stale->cell[i]);
    for (size_t i = 0; i < reached->count; i++)
        for (uint32_t s = arena_cell(reached->cell[i])->first_section; s; s = arena_section(s)->next_in_cell)
            for (uint32_t e = arena_section(s)->first_out; e; e = arena_edge(e)->next_out) {
                uint32_t need = arena_section(arena_edge(e)->to)->cell;
                if (list_has(stale, need))
                    list_add(reached, need);
            }
    *stale = *reached;
}

/* From the hidden cells back along the edges. */
void change_find_stale(struct change *change)
{
    GUARD(arena) held = arena_change();

    add_hidden(&change->hidden, change->namespace_);
    for (size_t i = 0; i < change->hidden.count; i++)
        add_users(change, change->hidden.cell[i]);
    for (size_t i = 0; i < change->stale.count; i++)
        add_users(change, change->stale.cell[i]);
    if (change->copies != COPY_ALL)
        narrow(change);
}
