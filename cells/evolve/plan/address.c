/* Where addresses in the old cells are in the new ones. */
#include "cells/evolve/plan/parts.h"
#include "cells/evolve/plan/recipe.h"

EXPORT(plan_is_old, KERNEL);
EXPORT(plan_new_section, KERNEL);
EXPORT(plan_old_section, KERNEL);
EXPORT(plan_in_regions, KERNEL);
EXPORT(plan_in_old_text, KERNEL);
EXPORT(plan_is_start, KERNEL);
EXPORT(plan_is_entry, KERNEL);
EXPORT(plan_map, KERNEL);

/* ---- cells and sections ---- */

bool plan_is_old(const struct plan *plan, struct cell_ref cell)
{
    for (size_t i = 0; i < plan->olds; i++)
        if (same(plan->old[i], cell))
            return true;
    return false;
}

struct section_ref plan_new_section(const struct plan *plan, struct section_ref old)
{
    const struct pair *pair = plan_pair_at(plan, arena_section(old)->virt);

    return pair && same(pair->old, old) ? pair->new_ : NO_SECTION;
}

struct section_ref plan_old_section(const struct plan *plan, struct section_ref new_)
{
    for (size_t i = 0; i < plan->pairs; i++)
        if (same(plan->pair[i].new_, new_))
            return plan->pair[i].old;
    return NO_SECTION;
}

/* ---- regions ---- */

static bool is_in_spans(const struct span *span, size_t count, uint64_t address)
{
    for (size_t i = 0; i < count; i++)
        if (address - span[i].start < span[i].bytes)
            return true;
    return false;
}

bool plan_in_regions(const struct plan *plan, uint64_t address)
{
    return is_in_spans(plan->span, plan->spans, address);
}

bool plan_in_old_text(const struct plan *plan, uint64_t address)
{
    return is_in_spans(plan->span, plan->texts, address);
}

bool plan_is_start(const struct plan *plan, uint64_t address)
{
    const struct pair *pair = plan_pair_at(plan, address);

    return pair && pair->virt == address;
}

bool plan_is_entry(uint64_t address)
{
    struct section_ref section = arena_section_at(address);
    bool begins = section.index && arena_section(section)->virt == address;

    if (!section.index || begins)
        return begins;
    uint64_t offset = address - arena_section(section)->virt;
    for_each_symbol_of (s, arena_section(section)->cell)
        begins |= same(arena_symbol(s)->section, section) && arena_symbol(s)->offset == offset;
    return begins;
}

/* Of a pair that a recipe moves. The end has a counterpart if the last byte is the last one of the new section too. */
static uint64_t map_by_recipe(const struct plan *plan, const struct pair *pair, uint32_t offset)
{
    bool end = offset == pair->bytes;
    uint32_t to;

    if (!recipe_new_target(plan->recipes, pair->recipe, offset - end, &to))
        return 0;
    return end && to + 1 != arena_section(pair->new_)->bytes ? 0 : pair->to + to + end;
}

uint64_t plan_map(const struct plan *plan, uint64_t address)
{
    const struct pair *pair = plan_pair_at(plan, address);

    if (!pair)
        return 0;
    return pair->treatment == PLAN_BY_RECIPE ? map_by_recipe(plan, pair, (uint32_t)(address - pair->virt))
                                             : pair_map(pair, address);
}

/* ---- functions that pointers refer to ---- */

enum call_fit plan_check_call(const struct plan *plan, uint64_t function, uint64_t hash)
{
    const struct pair *pair = plan_pair_at(plan, function);

    if (!pair || !pair->text || !plan_is_entry(function))
        return CALL_FITS;
    if (!pair->new_.index)
        return CALL_LOST;
    if (pair->virt != function)
        return CALL_FITS; /* it is kept, and with it the old cell */
    bool fits = types_agree(arena_section(pair->new_)->type_hash, hash);
    return pair->retyped && !fits ? CALL_RETYPED : CALL_FITS;
}

bool plan_loses_functions(const struct plan *plan)
{
    for (size_t i = 0; i < plan->pairs; i++)
        if (plan->pair[i].text && (!plan->pair[i].new_.index || plan->pair[i].retyped))
            return true;
    return false;
}

bool plan_is_kept(const struct plan *plan, struct section_ref section)
{
    const struct pair *pair = plan_pair_at(plan, arena_section(section)->virt);

    return !pair || pair_moves(pair);
}

bool plan_is_pointer_kept(const struct plan *plan, struct section_ref section, uint32_t offset)
{
    const struct pair *pair = plan_pair_at(plan, arena_section(section)->virt);
    uint32_t moved;

    return !pair || (pair_moves(pair) && pair_new_offset(plan, pair, offset, &moved));
}
