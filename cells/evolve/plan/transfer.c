/* Transfer functions: which new cell's function carries the data of an old cell, and whether it runs. */
#include "cells/evolve/plan/parts.h"

EXPORT(plan_is_beside, KERNEL);
EXPORT(plan_predecessor, KERNEL);
EXPORT(plan_runs_transfer, KERNEL);

static bool has_old_of_its_name(const struct plan *plan, const struct arena_cell *new_)
{
    for (size_t i = 0; i < plan->olds; i++)
        if (arena_cell(plan->old[i])->name == new_->name)
            return true;
    return false;
}

/* The new cell of the same name; if it has no transfer function, one that was split off and has one; if no new cell has
 * the name, any that has one. */
struct cell_ref transfer_cell_for(const struct plan *plan, struct section_ref section)
{
    uint32_t name = arena_cell(arena_section(section)->cell)->name;
    struct cell_ref any = {}, split = {};
    bool lives_on = false;

    for (size_t i = 0; i < plan->news - plan->besides; i++) {
        const struct arena_cell *new_ = arena_cell(plan->new_[i]);
        lives_on |= new_->name == name;
        if (!new_->transfer_section.index)
            continue;
        if (new_->name == name)
            return plan->new_[i];
        if (!any.index)
            any = plan->new_[i];
        if (!split.index && !has_old_of_its_name(plan, new_))
            split = plan->new_[i];
    }
    return lives_on ? split : any;
}

bool plan_is_beside(const struct plan *plan, struct cell_ref new_)
{
    for (size_t i = plan->news - plan->besides; i < plan->news; i++)
        if (same(plan->new_[i], new_))
            return true;
    return false;
}

struct cell_ref plan_predecessor(const struct plan *plan, struct cell_ref new_)
{
    if (plan_is_beside(plan, new_))
        return NO_CELL;
    for (size_t i = 0; i < plan->olds; i++)
        if (arena_cell(plan->old[i])->name == arena_cell(new_)->name)
            return plan->old[i];
    return plan->olds ? plan->old[0] : NO_CELL;
}

bool plan_runs_transfer(const struct plan *plan, struct cell_ref new_)
{
    const struct arena_cell *c = arena_cell(new_);
    struct cell_ref old = plan_predecessor(plan, new_);

    return !plan->fresh && c->transfer_section.index && old.index && !same(arena_cell(old)->object, c->object);
}
