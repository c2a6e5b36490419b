/* See heirs.h. Old cells and those that took over from them have the number of the swap in common: arena_cell.came and
 * arena_cell.went. */
#include "cells/evolve/swap/heirs.h"
#include "cells/core/arena/arena.h"
#include "cells/core/lifecycle/lifecycle.h"
#include "cells/evolve/swap/swap.h"

EXPORT(swap_heirs, KERNEL);
EXPORT(swap_retire_copy, KERNEL);

/* The swap that made the inherited cell, which has old ones of its own, counts as what replaced the namespace's. */
static void note_inherited(const struct plan *plan, struct arena_cell *inherited) NEEDS(loader_lock)
{
    if (!inherited->came)
        inherited->came = arena_header()->swap_number;
    for (size_t i = 0; i < plan->olds; i++)
        if (arena_cell(plan->old[i])->name == inherited->name)
            arena_cell(plan->old[i])->went = inherited->came;
}

void heirs_begin(void)
{
    arena_header()->swap_number++;
}

void heirs_note(const struct plan *plan)
{
    for (size_t i = 0; i < plan->news - plan->besides; i++)
        arena_cell(plan->new_[i])->came = arena_header()->swap_number;
    for (size_t i = 0; i < plan->olds; i++)
        arena_cell(plan->old[i])->went = arena_header()->swap_number;
    for (size_t i = 0; i < plan->inheriteds; i++)
        note_inherited(plan, arena_cell(plan->inherited[i]));
}

void swap_retire_copy(struct cell_ref copy, struct cell_ref heir)
{
    if (!arena_cell(heir)->came) {
        heirs_begin();
        arena_cell(heir)->came = arena_header()->swap_number;
    }
    arena_cell(copy)->went = arena_cell(heir)->came;
    lifecycle_retract(copy);
}

static bool is_heir(struct cell_ref cell, const struct cell_ref *old, size_t olds) NEEDS(loader_lock)
{
    const struct arena_cell *c = arena_cell(cell);

    for (size_t i = 0; c->came && (c->state == CELL_LIVE || c->state == CELL_OLD) && i < olds; i++)
        if (c->came == arena_cell(old[i])->went)
            return true;
    return false;
}

size_t swap_heirs(const struct cell_ref *old, size_t olds, struct cell_ref ret_heirs[SWAP_SET_MAX])
{
    size_t count = 0;

    for_each_cell (i)
        if (count < SWAP_SET_MAX && is_heir(i, old, olds))
            ret_heirs[count++] = i;
    return count;
}
