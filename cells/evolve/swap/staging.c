/* See staging.h. */
#include "cells/evolve/swap/staging.h"
#include "cells/core/arena/arena.h"
#include "cells/core/edge/edge.h"
#include "cells/core/lifecycle/lifecycle.h"
#include "cells/evolve/plan/plan.h"
#include "cells/memory/heap/heap.h"
#include "cells/memory/state_db/state_db.h"

bool staging_is_sound(const struct swap_order *order)
{
    bool sound = order->olds <= SWAP_SET_MAX && order->objects <= SWAP_SET_MAX &&
                 order->olds + order->objects + order->absences > 0 && order->besides <= order->objects;

    for (size_t i = 0; sound && i < order->olds; i++)
        sound = order->old[i].index != 0;
    for (size_t i = 0; sound && i < order->objects; i++)
        sound = order->object[i].index != 0;
    return sound;
}

static bool is_among_old(const struct swap_order *order, struct cell_ref cell)
{
    for (size_t i = 0; i < order->olds; i++)
        if (same(order->old[i], cell))
            return true;
    return false;
}

static bool is_whole_image_replaced(const struct swap_order *order)
{
    for_each_cell (i)
        if (arena_in_image(arena_cell(i)) && arena_cell(i)->state == CELL_LIVE && !is_among_old(order, i))
            return false;
    return true;
}

static enum err check_old(const struct job *job, size_t i)
{
    struct cell_ref cell = job->order->old[i];
    const char *name = arena_string(arena_cell(cell)->name);

    if (arena_cell(cell)->state != CELL_LIVE || !same(arena_cell(cell)->namespace_, job->order->namespace_))
        return report_refuse(job->report, ERR_NOT_FOUND, "no cell %s is loaded there", name);
    if (!arena_cell(cell)->object.index && !is_whole_image_replaced(job->order))
        return report_refuse(job->report, ERR_NOT_SWAPPABLE,
                             "%s is part of the nano_core image, and goes with all of it", name);
    for (size_t k = 0; k < i; k++)
        if (same(job->order->old[k], cell))
            return report_refuse(job->report, ERR_INVALID, "cell %s is to go twice", name);
    return ERR_OK;
}

static enum err check_object(const struct job *job, size_t i)
{
    const struct swap_order *order = job->order;
    const struct arena_object *object = arena_object(order->object[i]);
    const char *name = arena_string(object->name);
    struct cell_ref there = arena_cell_find(order->namespace_, name);

    if (there.index && same(arena_cell(there)->namespace_, order->namespace_) && !is_among_old(order, there))
        return report_refuse(job->report, ERR_EXISTS,
                             "cell %s is loaded already, and is not among those to be replaced", name);
    for (size_t k = 0; k < i; k++)
        if (arena_object(order->object[k])->name == object->name)
            return report_refuse(job->report, ERR_EXISTS, "two objects of cell %s", name);
    return ERR_OK;
}

static enum err check_order(const struct job *job)
{
    const struct swap_order *order = job->order;
    enum err error = ERR_OK;

    for (size_t i = 0; i < order->olds && !error; i++)
        error = check_old(job, i);
    for (size_t i = 0; i < order->objects && !error; i++)
        error = check_object(job, i);
    if (!error && order->recipes)
        error = plan_check_recipes(order->recipes, order->recipe_bytes, job->report);
    return error;
}

/* The old cells, and behind them those that the namespace does not see any more. NULL: memory is out. */
static struct cell_ref *list_unseen(const struct swap_order *order)
{
    OWN(heap) struct cell_ref *unseen = heap_alloc((order->olds + order->hiddens) * sizeof *unseen);

    for (size_t i = 0; unseen && i < order->olds + order->hiddens; i++)
        unseen[i] = i < order->olds ? order->old[i] : order->hidden[i - order->olds];
    return MOVE(unseen);
}

/* The new cells refer neither to old ones nor to hidden ones. */
static enum err stage(struct job *job)
{
    const struct swap_order *order = job->order;
    OWN(heap) struct cell_ref *unseen = order->hiddens ? list_unseen(order) : NULL;
    const struct loader_input load = {.namespace_ = order->namespace_,
                                      .object = order->object,
                                      .objects = order->objects,
                                      .old = order->hiddens ? unseen : order->old,
                                      .olds = order->olds + order->hiddens,
                                      .inherited = order->inherited,
                                      .inheriteds = order->inheriteds};

    if (order->hiddens && !unseen)
        return ERR_NOMEM;
    return loader_stage(&load, job->new_, job->report);
}

/* Fresh data begin with what is set once. */
static void restore_set_once(const struct job *job) NEEDS(loader_lock)
{
    for (size_t i = 0; i < job->news; i++)
        for (size_t k = 0; k < job->order->olds; k++)
            if (arena_cell(job->order->old[k])->name == arena_cell(job->new_[i])->name)
                state_db_restore(job->order->old[k], job->new_[i]);
}

enum err staging_load(struct job *job)
{
    const struct swap_order *order = job->order;
    enum err error = check_order(job);

    if (!error)
        error = stage(job);
    if (!error)
        job->news = order->objects;
    if (!error && order->flags & SWAP_FRESH_DATA)
        restore_set_once(job);
    report_phase(job->report, "stage", &job->phase_start_ns);
    return error;
}

static enum err initialize_needs_of(struct job *job, struct section_ref section)
{
    for_each_edge_from (e, section) {
        struct cell_ref need = arena_section(arena_edge(e)->to)->cell;
        bool ready = arena_cell(need)->state == CELL_LOADING || arena_cell(need)->initialized;
        enum err error = ready ? ERR_OK : loader_initialize(need, job->report);
        if (error)
            return error;
    }
    return ERR_OK;
}

enum err staging_initialize_needs(struct job *job)
{
    enum err error = ERR_OK;

    for (size_t i = 0; i < job->order->inheriteds && !error; i++)
        error = loader_initialize(job->order->inherited[i], job->report);
    for (size_t i = 0; i < job->news && !error; i++)
        for_each_section_of (s, job->new_[i])
            if ((error = initialize_needs_of(job, s)))
                return error;
    return error;
}

/* Whether the cells that replace old ones have neither data, which is carried over only in the commit, nor functions of
 * their own for its beginning and end: then others may be initialized before. */
static bool is_without_state(const struct job *job)
{
    for (size_t i = 0; i + job->order->besides < job->news; i++) {
        const struct arena_cell *c = arena_cell(job->new_[i]);
        if (c->data_bytes || c->init_section.index || c->done_section.index)
            return false;
    }
    return true;
}

enum err staging_initialize_besides(struct job *job)
{
    enum err error = ERR_OK;

    for (size_t i = job->news - job->order->besides; i < job->news && !error && is_without_state(job); i++)
        error = loader_initialize(job->new_[i], job->report);
    return error;
}

/* What is set once has its copy from here on. Without room there is none. */
static void keep_set_once(struct cell_ref cell) NEEDS(loader_lock)
{
    for_each_section_of (i, cell)
        if (state_db_is_due(i))
            (void)state_db_keep(i);
}

enum err staging_initialize_new(struct job *job)
{
    enum err error = ERR_OK;

    for (size_t i = 0; i < job->news && !error; i++) {
        if (!arena_cell(job->new_[i])->initialized)
            error = loader_initialize(job->new_[i], job->report);
        keep_set_once(job->new_[i]);
    }
    return error;
}

/* Cells that were initialized are ended. Those that others still refer to are hidden, and freed when nothing does. */
static void take_back(struct job *job)
{
    bool begun = false;

    for (size_t i = 0; i < job->news; i++)
        begun |= arena_cell(job->new_[i])->initialized != CELL_INIT_NONE;
    if (!begun) {
        lifecycle_unstage(job->new_, job->news);
        return;
    }
    for (size_t i = lifecycle_unload_all(job->new_, job->news); i < job->news; i++)
        lifecycle_retract(job->new_[i]);
}

void staging_end(struct job *job)
{
    const struct swap_order *order = job->order;

    for (size_t i = 0; i < job->news && job->committed; i++)
        edge_rehash(job->new_[i]);
    for (size_t i = 0; i < order->inheriteds; i++)
        edge_rehash(order->inherited[i]);
    for (size_t i = 0; i < order->olds && job->news + order->inheriteds; i++)
        if (order->old[i].index)
            edge_rehash(order->old[i]);
    if (job->news && !job->committed)
        take_back(job);
    for (size_t i = 0; i < order->objects && !job->news; i++)
        loader_drop_object(order->object[i]);
}
