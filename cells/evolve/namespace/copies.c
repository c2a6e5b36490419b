/* See copies.h. The copies are staged and never published, so that nobody else has an edge to them, and they refer to
 * each other. They begin with fresh data: what lasts from one swap to the next is in the arena. */
#include "cells/evolve/namespace/copies.h"
#include "cells/core/arena/arena.h"
#include "cells/core/edge/edge.h"
#include "cells/core/panic/panic.h"
#include "cells/evolve/swap/swap.h"
#include "cells/lib/string/string.h"

static const char *const originals[] = {"plan", "quiescence", "swap"}; /* whose functions call each other in a swap */

#define COPIES array_size(originals)

/* Cells that are given up at the end of the scope, also when a fault in one of them unwinds it. */
struct copies_guard {
    struct cell_ref cell[COPIES];
    size_t count; /* 0: not loaded */
};

/* They are freed later: a task may still wait at a gate in one of them, and words on stacks may refer to them. */
static void copies_guard_end(struct copies_guard *copies) NEEDS(loader_lock)
{
    for (size_t i = 0; i < copies->count; i++)
        swap_retire_copy(copies->cell[i], arena_cell_find(NAMESPACE_ROOT, originals[i]));
}

static bool is_object_in(const struct swap_order *order, struct object_ref object)
{
    for (size_t i = 0; i < order->objects; i++)
        if (same(order->object[i], object))
            return true;
    return false;
}

/* A reload changes no types. */
static bool gets_another_version(const struct swap_order *order, struct cell_ref cell)
{
    for (size_t i = 0; i < order->olds; i++)
        if (same(order->old[i], cell))
            return !is_object_in(order, arena_cell(cell)->object);
    return false;
}

static bool needs_copies(const struct swap_order *order)
{
    bool needs = false;

    for (size_t i = 0; i < COPIES; i++)
        needs |= gets_another_version(order, arena_cell_find(NAMESPACE_ROOT, originals[i]));
    return needs && !(order->flags & SWAP_DRY_RUN);
}

static enum err load(struct copies_guard *copies, struct report *report) NEEDS(loader_lock)
{
    struct cell_ref old[COPIES];
    struct object_ref object[COPIES];
    const struct loader_input input = {
        .namespace_ = NAMESPACE_ROOT, .object = object, .old = old, .objects = COPIES, .olds = COPIES};

    for (size_t i = 0; i < COPIES; i++) {
        old[i] = arena_cell_find(NAMESPACE_ROOT, originals[i]);
        object[i] = arena_cell(old[i])->object;
        if (!object[i].index)
            return report_refuse(report, ERR_NOT_FOUND, "cell %s, which is to carry out the swap, is not loaded",
                                 originals[i]);
    }
    enum err error = loader_stage(&input, copies->cell, report);
    if (!error)
        copies->count = COPIES;
    return error;
}

/* The address of what the copies export by that name. */
static void *copy_of(const struct copies_guard *copies, const char *name)
{
    for (size_t i = 0; i < copies->count; i++)
        for_each_symbol_of (s, copies->cell[i]) {
            const struct arena_symbol *symbol = arena_symbol(s);
            if (symbol->access && string_equal(arena_string(symbol->name), name))
                return (void *)(arena_section(symbol->section)->virt + symbol->offset);
        }
    panic("a copy of a cell lacks what the cell exports");
}

enum err copies_swap(const struct swap_order *order, struct report *report)
{
    if (!needs_copies(order))
        return swap_cells(order, report);
    GUARD(copies) copies = {};
    enum err error = load(&copies, report);

    if (!error && swap_step_hook)
        error = edge_bind(copy_of(&copies, "swap_step_hook"), swap_step_hook);
    if (!error) {
        enum err (*swap)(const struct swap_order *, struct report *) = copy_of(&copies, "swap_cells");
        return swap(order, report);
    }
    for (size_t i = 0; i < order->objects; i++)
        loader_drop_object(order->object[i]);
    return report->error = error;
}
