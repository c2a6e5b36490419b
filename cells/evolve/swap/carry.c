/* See carry.h. Bytes first, then pointers: those that the arena has edges for, and those that only code knows of. */
#include "cells/evolve/swap/carry.h"
#include "cells/core/arena/arena.h"
#include "cells/core/edge/edge.h"
#include "cells/lib/string/string.h"
#include "cells/recover/mend/mend.h"
#include "cells/task/deadline/deadline.h"
#include "guest/abi/elf.h"

/* ---- pointers ---- */

/* A copied pointer with an edge, at `offset` of the new section: it gets an edge to what it refers to, in the new cells
 * for the old ones. */
static enum err carry_pointer(const struct plan *plan, const struct pair *pair, const struct arena_edge *edge,
                              uint32_t offset)
{
    uint64_t value;

    if (edge->type != R_X86_64_64)
        return ERR_BAD_RELOCATION;
    memcpy(&value, plan_bytes(pair->new_) + offset, sizeof value);
    if (plan_in_old(plan, value))
        value = plan_map(plan, value);
    if (value && !arena_section_at(value).index)
        return ERR_OK; /* changed at run time, to something in the heap */
    return edge_bind((void *)(arena_section(pair->new_)->virt + offset), (const void *)value);
}

static enum err carry_pointers(const struct plan *plan, const struct pair *pair)
{
    uint32_t offset;
    enum err error;

    for_each_edge_from (e, pair->old)
        if (pair_new_offset(plan, pair, arena_edge(e)->offset, &offset) &&
            (error = carry_pointer(plan, pair, arena_edge(e), offset)))
            return error;
    return ERR_OK;
}

/* A pointer that only the new cell has: copying has overwritten it. */
static enum err restore_pointers(const struct plan *plan, const struct pair *pair)
{
    for_each_edge_from (e, pair->new_) {
        const struct arena_edge *edge = arena_edge(e);
        uint32_t offset;
        if (pair_old_offset(plan, pair, edge->offset, &offset) && edge_at(pair->old, offset).index)
            continue;
        if (edge->type != R_X86_64_64)
            return ERR_BAD_RELOCATION;
        uint64_t value = arena_edge_target(edge, arena_section(edge->to));
        memcpy(plan_bytes(pair->new_) + edge->offset, &value, sizeof value);
    }
    return ERR_OK;
}

/* Pointers to the old cells' own data that code has stored: heads of lists, and the like. */
static void carry_own_pointers(const struct plan *plan, const struct pair *pair)
{
    uint64_t start = (uint64_t)plan_bytes(pair->new_), bytes = arena_section(pair->new_)->bytes;
    uint64_t *word = (uint64_t *)((start + 7) & ~7ul), *end = (uint64_t *)((start + bytes) & ~7ul), to;

    for (; word < end; word++)
        if (plan_in_old(plan, *word) && (to = plan_map(plan, *word)))
            *word = to;
}

/* Damage to what is set once is not carried. */
static void mend_old(struct section_ref old)
{
    struct mend_found found;

    if (mend_is_damaged(old))
        (void)mend_section(old, &found);
}

static enum err carry_section(const struct plan *plan, const struct pair *pair)
{
    mend_old(pair->old);
    pair_move(plan, pair);
    enum err error = restore_pointers(plan, pair);
    if (!error)
        error = carry_pointers(plan, pair);
    carry_own_pointers(plan, pair);
    return error;
}

/* ---- transfer functions ---- */

struct transferring {
    const struct plan *plan;
    struct cell_ref first; /* the old cell that is asked first, or none */
};

static const struct arena_section *find_old_section(struct cell_ref cell, const char *name)
{
    if (!cell.index)
        return NULL;
    for_each_section_of (i, cell)
        if (string_equal(arena_string(arena_section(i)->name), name))
            return arena_section(i);
    return NULL;
}

static const void *find_data(const struct cell_transfer *transfer, const char *section, size_t *ret_bytes)
{
    const struct transferring *t = transfer->context;
    const struct arena_section *found = find_old_section(t->first, section);

    for (size_t i = 0; i < t->plan->olds && !found; i++)
        found = find_old_section(t->plan->old[i], section);
    if (found && ret_bytes)
        *ret_bytes = found->bytes;
    return found ? (const void *)found->virt : NULL;
}

static enum err run_transfer(const struct plan *plan, struct cell_ref new_, uint32_t limit_ms)
{
    const struct transferring context = {plan, plan_predecessor(plan, new_)};
    const struct arena_cell *first = arena_cell(context.first);
    const struct cell_transfer transfer = {.from_version = first->version, .find = find_data, .context = &context};
    enum err (*function)(const struct cell_transfer *) =
        (void *)arena_section(arena_cell(new_)->transfer_section)->virt;

    GUARD(deadline) limited = deadline_begin(new_, "transfer function", limit_ms ?: DEADLINE_TRANSFER_MS);
    return function(&transfer);
}

enum err carry_data(const struct plan *plan, uint32_t limit_ms, struct report *report)
{
    enum err error = plan_refuse_values(plan, report);

    for (size_t i = 0; !error && i < plan->pairs; i++) {
        const struct pair *pair = &plan->pair[i];
        error = pair_moves(pair) ? carry_section(plan, pair) : ERR_OK;
        if (error)
            return report_refuse(report, error, "%s: cannot be taken over: %s",
                                 arena_string(arena_section(pair->old)->name), err_text(error));
    }
    for (size_t i = 0; !error && i < plan->news; i++) {
        bool runs = plan_runs_transfer(plan, plan->new_[i]);
        error = runs ? run_transfer(plan, plan->new_[i], limit_ms) : ERR_OK;
        if (error)
            return report_refuse(report, error, "%s: its data cannot be taken over: %s",
                                 arena_string(arena_cell(plan->new_[i])->name), err_text(error));
    }
    return error;
}
