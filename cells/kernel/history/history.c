/* See history.h. Works out all of it from the log each time, so that there is no count that could go wrong. */
#include "cells/kernel/history/history.h"
#include "cells/kernel/arena/arena.h"
#include "cells/kernel/frame/frame.h"
#include "cells/kernel/loader/loader.h"
#include "cells/lib/string/string.h"

CELL("history", KERNEL, 1);
EXPORT(history_bound, KERNEL);
EXPORT(history_keep, KERNEL);
EXPORT(history_find, KERNEL);

struct history_bound history_bound = {.objects = 64, .bytes = 2 << 20};

/* What is known of each object, by index; under the loader's turn. */
static struct candidate {
    bool live;       /* a cell that is not on its way out is made from it */
    uint64_t newest; /* number of the last change that names it; 0: it is not to be kept */
} candidate[ARENA_OBJECTS_MAX];

static uint32_t objects_used(void)
{
    uint32_t used = arena_header()->table[ARENA_OBJECTS].used;

    return used < ARENA_OBJECTS_MAX ? used : ARENA_OBJECTS_MAX;
}

static bool is_there(uint32_t object)
{
    return arena_object(object)->check && arena_sound(ARENA_OBJECTS, object);
}

static bool is_same(uint32_t a, uint32_t b)
{
    return arena_object(a)->hash == arena_object(b)->hash && arena_object(a)->name == arena_object(b)->name;
}

/* ---- what the log names ---- */

/* Whether the change was a commit's, of a namespace that is there. */
static bool counts(const struct arena_change *change)
{
    const struct arena_swap *swap = arena_record(ARENA_SWAPS, (uint32_t)(change->swap % (ARENA_SWAPS_MAX - 1)) + 1);

    if (swap->seq != change->swap || !swap->took_effect || !swap->namespace_ ||
        swap->namespace_ >= ARENA_NAMESPACES_MAX)
        return false;
    const struct arena_namespace *n = arena_namespace(swap->namespace_);
    return n->name && n->state == NAMESPACE_LIVE && swap->seq > n->since;
}

/* The number of the last change that names the object; 0: none does. */
static uint64_t newest_change(uint32_t object)
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

static void find_live(void)
{
    uint32_t used = arena_header()->table[ARENA_CELLS].used;

    memset(candidate, 0, sizeof candidate);
    for (uint32_t i = 1; i < used && i < ARENA_CELLS_MAX; i++) {
        const struct arena_cell *c = arena_cell(i);
        if ((c->state == CELL_LIVE || c->state == CELL_LOADING) && c->object < ARENA_OBJECTS_MAX)
            candidate[c->object].live = true;
    }
}

/* Whether another object says the same, and is there for a live cell, or is to be kept already. */
static bool is_double(uint32_t object)
{
    uint32_t used = objects_used();

    for (uint32_t i = 1; i < used; i++)
        if (i != object && is_there(i) && is_same(i, object) && (candidate[i].live || candidate[i].newest))
            return true;
    return false;
}

/* Those that take no memory come first: of doubles they stay. */
static void find_named(bool from_mailbox)
{
    uint32_t used = objects_used();

    for (uint32_t i = 1; i < used; i++)
        if (is_there(i) && !candidate[i].live && (arena_object(i)->from_mailbox != 0) == from_mailbox && !is_double(i))
            candidate[i].newest = newest_change(i);
}

static uint64_t bytes_of(uint32_t object)
{
    uint64_t bytes = (arena_object(object)->bytes + FRAME_BYTES - 1) / FRAME_BYTES * FRAME_BYTES;

    return arena_object(object)->from_mailbox ? bytes : 0;
}

/* Of those that are to be kept, and take memory if they have to. */
static uint32_t find_oldest(bool takes_memory)
{
    uint32_t used = objects_used(), oldest = 0;

    for (uint32_t i = 1; i < used; i++)
        if (candidate[i].newest && (!takes_memory || bytes_of(i)) &&
            (!oldest || candidate[i].newest < candidate[oldest].newest))
            oldest = i;
    return oldest;
}

/* The one that is to go first; 0: all are within the bound. */
static uint32_t find_beyond(void)
{
    uint32_t used = objects_used(), count = 0;
    uint64_t bytes = 0;

    for (uint32_t i = 1; i < used; i++)
        if (candidate[i].newest) {
            count++;
            bytes += bytes_of(i);
        }
    if (count > history_bound.objects)
        return find_oldest(false);
    return bytes > history_bound.bytes ? find_oldest(true) : 0;
}

static void keep(uint32_t object, bool kept)
{
    {
        GUARD(arena) held = arena_change();
        arena_object(object)->kept = kept;
        arena_seal(ARENA_OBJECTS, object);
    }
    if (!kept)
        loader_drop_object(object);
}

void history_keep(void)
{
    GUARD(loader) turn = loader_hold();
    uint32_t used = objects_used(), beyond;

    find_live();
    find_named(false);
    find_named(true);
    while ((beyond = find_beyond()))
        candidate[beyond].newest = 0;
    for (uint32_t i = 1; i < used; i++)
        if (is_there(i) && (arena_object(i)->kept != 0) != (candidate[i].newest != 0))
            keep(i, candidate[i].newest);
}

uint32_t history_find(const char *name, uint64_t hash)
{
    uint32_t used = objects_used();

    for (uint32_t i = 1; i < used; i++)
        if (is_there(i) && arena_object(i)->hash == hash && string_equal(arena_string(arena_object(i)->name), name))
            return i;
    return 0;
}
