/* See reap.h. A cell whose references cannot all be seen is not freed. */
#include "cells/evolve/reap/reap.h"
#include "cells/core/arena/arena.h"
#include "cells/core/cpu/cpu.h"
#include "cells/core/lifecycle/lifecycle.h"
#include "cells/core/loader/loader.h"
#include "cells/evolve/plan/plan.h"
#include "cells/evolve/swap/swap.h"
#include "cells/lib/string/string.h"

CELL("reap", KERNEL, 1);
FOUNDATION();
EXPORT(reap_replaced, KERNEL);
EXPORT(reap_in_background, KERNEL);
EXPORT(reap_cells, KERNEL);
EXPORT(reap_may_try, KERNEL);
EXPORT(reap_failed, KERNEL);

#define TRAP_BYTE    0xcc
#define SHARE        100         /* attempts that free nothing take at most one part in so many of the time */
#define PAUSE_MAX_NS 5000000000u /* between two of them: also where time has stood still during one */

static bool are_referenced(const struct cell_ref *cells, size_t count) NEEDS(loader_lock)
{
    bool referenced = false;

    for (size_t at = 0; at < count && !referenced; at += SWAP_SET_MAX) {
        size_t some = count - at < SWAP_SET_MAX ? count - at : SWAP_SET_MAX;
        OWN(plan) struct plan *plan = plan_new(&(struct plan_input){.old = cells + at, .olds = some});
        referenced = !plan || swap_is_referenced(plan);
    }
    return referenced;
}

size_t reap_cells(struct cell_ref *cells, size_t count)
{
    GUARD(loader) locked = loader_hold();

    return are_referenced(cells, count) ? 0 : lifecycle_unload_all(cells, count);
}

static struct plan *plan_with_heirs(const struct cell_ref *old, size_t olds, struct cell_ref heirs[SWAP_SET_MAX])
    NEEDS(loader_lock)
{
    const struct plan_input input = {.old = old, .olds = olds, .new_ = heirs, .news = swap_heirs(old, olds, heirs)};

    return plan_new(&input);
}

/* ---- cells that refer to each other ---- */

/* A replaced cell and those that refer to it, directly or not. */
struct referrers {
    struct cell_ref cell[SWAP_SET_MAX];
    size_t count;
};

/* False: the cell is not replaced, and stays, or there are too many. */
static bool add_referrer(struct referrers *referrers, struct cell_ref cell)
{
    const struct arena_cell *c = arena_cell(cell);

    for (size_t i = 0; i < referrers->count; i++)
        if (same(referrers->cell[i], cell))
            return true;
    if (c->state != CELL_OLD || arena_in_image(c) || referrers->count == SWAP_SET_MAX)
        return false;
    referrers->cell[referrers->count++] = cell;
    return true;
}

/* False: one of them stays. */
static bool add_referrers_of(struct referrers *referrers, struct cell_ref cell)
{
    for_each_section_of (s, cell)
        for_each_edge_to (e, s)
            if (!add_referrer(referrers, arena_section(arena_edge(e)->from)->cell))
                return false;
    return true;
}

/* Redirects words of memory and stacks to what took over from the cell alone: cells of one name are told apart by their
 * order in a plan. False: memory is out. */
static bool redirect_to_heirs(struct cell_ref cell) NEEDS(loader_lock)
{
    struct cell_ref heirs[SWAP_SET_MAX];
    OWN(plan) struct plan *plan = plan_with_heirs(&cell, 1, heirs);

    if (plan)
        swap_redirect_words(plan);
    return plan;
}

/* Frees the cell, and with it the replaced cells that refer to it. False: something else refers to one of them. */
static bool reap_cell(struct cell_ref cell) NEEDS(loader_lock)
{
    struct referrers old = {.cell = {cell}, .count = 1};
    bool all = true;

    for (size_t i = 0; all && i < old.count; i++)
        all = redirect_to_heirs(old.cell[i]) && add_referrers_of(&old, old.cell[i]);
    if (!all || are_referenced(old.cell, old.count))
        return false;
    return lifecycle_unload_all(old.cell, old.count) == old.count;
}

/* ---- the image ---- */

/* The image's cells that have been replaced. False: some are live, and the image stays. */
static bool gather_image(struct cell_ref ret_cells[SWAP_SET_MAX], size_t *ret_count)
{
    size_t count = 0;
    bool whole = true;

    for_each_cell (i) {
        if (count == SWAP_SET_MAX || !arena_in_image(arena_cell(i)) || arena_cell(i)->state == CELL_FREE)
            continue;
        whole &= arena_cell(i)->state == CELL_OLD;
        if (arena_cell(i)->state == CELL_OLD)
            ret_cells[count++] = i;
    }
    *ret_count = count;
    return whole;
}

static void fill_with_traps(uint64_t phys, size_t bytes)
{
    if (bytes)
        memset(page_direct(phys), TRAP_BYTE, bytes);
}

/* All at once, since they share pages and unwind tables. What still enters them, in spite of all checks, traps. */
static size_t reap_image(void)
{
    static struct cell_ref cells[SWAP_SET_MAX] GUARDED_BY(loader_lock), heirs[SWAP_SET_MAX] GUARDED_BY(loader_lock);
    size_t count;
    GUARD(loader) locked = loader_hold();

    if (!gather_image(cells, &count) || !count)
        return count;
    OWN(plan) struct plan *plan = plan_with_heirs(cells, count, heirs);
    if (!plan)
        return count;
    swap_redirect_words(plan);
    if (swap_is_referenced(plan))
        return count;
    for (size_t i = 0; i < count; i++) {
        const struct arena_cell *c = arena_cell(cells[i]);
        fill_with_traps(c->text_phys, c->text_bytes);
        fill_with_traps(c->rodata_phys, c->rodata_bytes);
        fill_with_traps(c->data_phys, c->data_bytes);
    }
    return count - lifecycle_unload_all(cells, count);
}

/* ---- one after the other ---- */

static bool is_old(struct cell_ref cell)
{
    return arena_cell(cell)->state == CELL_OLD;
}

/* False: the cell is replaced, and stays. */
static bool try_cell(struct cell_ref cell)
{
    GUARD(loader) locked = loader_hold();

    if (!is_old(cell)) /* it was freed before the lock was taken */
        return true;
    return arena_in_image(arena_cell(cell)) ? !reap_image() : reap_cell(cell);
}

size_t reap_replaced(void)
{
    size_t still = 0;

    (void)reap_image();
    for_each_cell (i)
        if (is_old(i) && !arena_in_image(arena_cell(i)))
            (void)try_cell(i);
    for_each_cell (i)
        still += is_old(i);
    return still;
}

/* The next replaced cell in the circle of all records; none: there is none. */
static struct cell_ref next_replaced(struct cell_ref after)
{
    struct cell_ref first = NO_CELL;

    for_each_cell (i) {
        if (!is_old(i))
            continue;
        if (i.index > after.index)
            return i;
        if (!first.index)
            first = i;
    }
    return first;
}

/* ---- in the background ---- */

bool reap_may_try(const struct reap_share *share)
{
    return cpu_ns() >= share->next_ns;
}

void reap_failed(struct reap_share *share, uint64_t began_ns)
{
    uint64_t end = cpu_ns(), pause = (end - began_ns) * (SHARE - 1);

    share->next_ns = end + (pause < PAUSE_MAX_NS ? pause : PAUSE_MAX_NS);
}

void reap_in_background(void)
{
    static struct cell_ref cell; /* tried last */
    static struct reap_share share;

    if (!reap_may_try(&share))
        return;
    while ((cell = next_replaced(cell)).index) {
        uint64_t began_ns = cpu_ns();
        if (try_cell(cell))
            continue;
        reap_failed(&share, began_ns);
        return;
    }
}
