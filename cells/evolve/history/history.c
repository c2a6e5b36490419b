/* See history.h. Works out all of it from the log each time, so that there is no count that could go wrong. */
#include "cells/evolve/history/history.h"
#include "cells/core/arena/arena.h"
#include "cells/core/frame/frame.h"
#include "cells/core/loader/loader.h"
#include "cells/lib/string/string.h"
#include "cells/memory/reclaim/reclaim.h"

CELL("history", KERNEL, 1);
FOUNDATION();
EXPORT(history_bound, KERNEL);
EXPORT(history_keep, KERNEL);
EXPORT(history_find, KERNEL);

struct history_bound history_bound = {.objects = 64, .bytes = 2 << 20};

static bool is_there(struct object_ref object)
{
    return arena_object(object)->check && arena_sound(object);
}

static bool is_same(struct object_ref a, struct object_ref b)
{
    return arena_object(a)->hash == arena_object(b)->hash && arena_object(a)->name == arena_object(b)->name;
}

/* ---- what the log names ---- */

/* Whether a swap that took effect made the change, in a namespace that still exists. */
static bool counts(const struct arena_change *change)
{
    const struct arena_swap *swap = arena_record(ARENA_SWAPS, arena_ring_index(change->swap, ARENA_SWAPS_MAX));

    if (swap->seq != change->swap || !swap->took_effect || !swap->namespace_.index ||
        swap->namespace_.index >= arena_header()->table[ARENA_NAMESPACES].capacity)
        return false;
    const struct arena_namespace *n = arena_namespace(swap->namespace_);
    return n->name && n->state == NAMESPACE_LIVE && swap->seq > n->since;
}

/* The number of the last change that names the object; 0: none does. */
static uint64_t newest_change(struct object_ref object)
{
    const struct arena_object *o = arena_object(object);
    uint64_t newest = 0;

    for (uint32_t i = 1; i < ARENA_CHANGES_MAX; i++) {
        const struct arena_change *change = arena_record(ARENA_CHANGES, i);
        if ((change->old_object == o->hash || change->new_object == o->hash) && change->seq > newest &&
            string_equal(change->cell, arena_string(o->name)) && counts(change))
            newest = change->seq;
    }
    return newest;
}

/* ---- which stay ---- */

static void find_live(void) NEEDS(loader_lock)
{
    for_each_object (i)
        arena_object(i)->live = arena_object(i)->newest = 0;
    for_each_cell (i) {
        const struct arena_cell *c = arena_cell(i);
        if ((c->state == CELL_LIVE || c->state == CELL_LOADING) && c->object.index &&
            c->object.index < arena_header()->table[ARENA_OBJECTS].used)
            arena_object(c->object)->live = 1;
    }
}

/* Whether another object has the same name and contents, and a live cell is made from it, or it is kept already. */
static bool is_double(struct object_ref object) NEEDS(loader_lock)
{
    for_each_object (i)
        if (!same(i, object) && is_there(i) && is_same(i, object) && (arena_object(i)->live || arena_object(i)->newest))
            return true;
    return false;
}

/* To be called for objects of the archive first, which take no memory: of two equal objects theirs is kept. */
static void find_named(bool from_mailbox) NEEDS(loader_lock)
{
    for_each_object (i)
        if (is_there(i) && !arena_object(i)->live && (arena_object(i)->from_mailbox != 0) == from_mailbox &&
            !is_double(i))
            arena_object(i)->newest = newest_change(i);
}

static uint64_t bytes_of(struct object_ref object)
{
    uint64_t bytes = (arena_object(object)->bytes + FRAME_BYTES - 1) / FRAME_BYTES * FRAME_BYTES;

    return arena_object(object)->from_mailbox ? bytes : 0;
}

/* The kept object whose last swap is the oldest; with `takes_memory` only among those in frames of their own. */
static struct object_ref find_oldest(bool takes_memory) NEEDS(loader_lock)
{
    struct object_ref oldest = {};

    for_each_object (i)
        if (arena_object(i)->newest && (!takes_memory || bytes_of(i)) &&
            (!oldest.index || arena_object(i)->newest < arena_object(oldest)->newest))
            oldest = i;
    return oldest;
}

/* The object to be dropped next; none: all are within the bound. */
static struct object_ref find_beyond(struct history_bound bound) NEEDS(loader_lock)
{
    uint32_t count = 0;
    uint64_t bytes = 0;

    for_each_object (i)
        if (arena_object(i)->newest) {
            count++;
            bytes += bytes_of(i);
        }
    if (count > bound.objects)
        return find_oldest(false);
    return bytes > bound.bytes ? find_oldest(true) : NO_OBJECT;
}

static void keep(struct object_ref object, bool kept)
{
    {
        GUARD(arena) held = arena_change();
        arena_object(object)->kept = kept;
        arena_seal(object);
    }
    if (!kept)
        loader_drop_object(object);
}

static void keep_within(struct history_bound bound)
{
    GUARD(loader) locked = loader_hold();
    struct object_ref beyond;

    find_live();
    find_named(false);
    find_named(true);
    while ((beyond = find_beyond(bound)).index)
        arena_object(beyond)->newest = 0;
    for_each_object (i)
        if (is_there(i) && (arena_object(i)->kept != 0) != (arena_object(i)->newest != 0))
            keep(i, arena_object(i)->newest);
}

void history_keep(void)
{
    keep_within(history_bound);
}

/* When memory is short: those in frames of their own go. Not while somebody loads or swaps, who would perhaps wait for
 * this task, or is this task. */
static void give_objects(void)
{
    bool any = false;

    for_each_object (i)
        any = any || (is_there(i) && arena_object(i)->kept && bytes_of(i));
    if (any && loader_is_held_by(NULL))
        keep_within((struct history_bound){.objects = history_bound.objects});
}

static enum err history_init(void)
{
    return reclaim_bind(give_objects);
}
INIT(history_init);

struct object_ref history_find(const char *name, uint64_t hash)
{
    for_each_object (i)
        if (is_there(i) && arena_object(i)->hash == hash && string_equal(arena_string(arena_object(i)->name), name))
            return i;
    return NO_OBJECT;
}
