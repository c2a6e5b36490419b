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

/* Sorts the first `count` cells: those that the same swap has replaced as the last one come to the end, with it. Of two
 * with the same name only one does, since a plan finds its cells by name. Returns how many stay in front of them. */
static size_t split_swap(struct cell_ref *cells, size_t count)
{
    const struct arena_cell *last = arena_cell(cells[count - 1]);
    size_t others = count - 1;

    for (size_t i = others; i-- > 0;) {
        const struct cell_ref cell = cells[i];
        bool fits = arena_cell(cell)->went == last->went;
        for (size_t k = others; k < count && fits; k++)
            fits = arena_cell(cells[k])->name != arena_cell(cell)->name;
        if (!fits)
            continue;
        cells[i] = cells[--others];
        cells[others] = cell;
    }
    return others;
}

/* Redirects words of memory and stacks to what took over from the cells. For each swap all at once: memory is searched
 * for them together. False: memory is out. */
static bool redirect_to_heirs(struct referrers *old) NEEDS(loader_lock)
{
    struct cell_ref heirs[SWAP_SET_MAX];

    for (size_t count = old->count; count > 0;) {
        size_t others = split_swap(old->cell, count);
        OWN(plan) struct plan *plan = plan_with_heirs(old->cell + others, count - others, heirs);
        if (!plan)
            return false;
        swap_redirect_words(plan);
        count = others;
    }
    return true;
}

/* Frees the cells, and with them the replaced cells that refer to them. False: something else refers to one of them. */
static bool reap_with_referrers(struct referrers *old) NEEDS(loader_lock)
{
    for (size_t i = 0; i < old->count; i++)
        if (!add_referrers_of(old, old->cell[i]))
            return false;
    if (!redirect_to_heirs(old) || are_referenced(old->cell, old->count))
        return false;
    return lifecycle_unload_all(old->cell, old->count) == old->count;
}

static bool reap_cell(struct cell_ref cell) NEEDS(loader_lock)
{
    struct referrers old = {.cell = {cell}, .count = 1};

    return reap_with_referrers(&old);
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

/* Whether the loader lock is to be had now, as far as one can see. Who holds it may need seconds, and the teardown task
 * is waited for by all who join tasks. */
static bool is_lock_free(void)
{
    return loader_is_held_by(NULL) || loader_is_held_by(cpu_task());
}

bool reap_may_try(const struct reap_share *share)
{
    return cpu_ns() >= share->next_ns && is_lock_free();
}

void reap_failed(struct reap_share *share, uint64_t began_ns)
{
    uint64_t end = cpu_ns(), pause = (end - began_ns) * (SHARE - 1);

    share->next_ns = end + (pause < PAUSE_MAX_NS ? pause : PAUSE_MAX_NS);
}

/* A pass over replaced cells that have not been tried: those that swaps from number `tried` + 1 to `last` have
 * replaced. */
struct pass {
    uint32_t tried, last;
    struct cell_ref cell; /* that was tried last */
};

/* The next one in the pass, if there is one. Writes the number of the newest swap that has replaced something. */
static struct cell_ref next_in_pass(const struct pass *pass, uint32_t *ret_newest)
{
    struct cell_ref next = NO_CELL;

    *ret_newest = pass->last;
    for_each_cell (i) {
        uint32_t went = is_old(i) ? arena_cell(i)->went : 0;
        if (went > *ret_newest)
            *ret_newest = went;
        if (!next.index && i.index > pass->cell.index && went > pass->tried && went <= pass->last)
            next = i;
    }
    return next;
}

/* Frees all cells of a new pass together, if there are several: memory is searched for them once. */
static void try_together(const struct pass *pass)
{
    GUARD(loader) locked = loader_hold();
    struct referrers old = {};
    bool room = true;

    for_each_cell (i)
        if (is_old(i) && !arena_in_image(arena_cell(i)) && arena_cell(i)->went > pass->tried &&
            arena_cell(i)->went <= pass->last)
            room &= add_referrer(&old, i);
    if (room && old.count > 1)
        (void)reap_with_referrers(&old);
}

/* The same; behind the last one a new pass begins, if there has been a swap. None: all have been tried. */
static struct cell_ref next_untried(struct pass *pass)
{
    uint32_t newest;

    pass->cell = next_in_pass(pass, &newest);
    while (!pass->cell.index && pass->tried < newest && is_lock_free()) {
        pass->tried = pass->last;
        pass->last = newest;
        try_together(pass);
        pass->cell = next_in_pass(pass, &newest);
    }
    return pass->cell;
}

/* Tries each replaced cell once, whatever others have cost. False: they have all been tried. */
static bool try_untried(struct reap_share *share)
{
    static struct pass pass;

    for (struct cell_ref cell; is_lock_free() && (cell = next_untried(&pass)).index;) {
        uint64_t began_ns = cpu_ns();
        if (try_cell(cell))
            continue;
        reap_failed(share, began_ns);
        return true;
    }
    return false;
}

void reap_in_background(void)
{
    static struct cell_ref cell; /* tried last */
    static struct reap_share share;

    if (try_untried(&share))
        return;
    while (reap_may_try(&share) && (cell = next_replaced(cell)).index) {
        uint64_t began_ns = cpu_ns();
        if (try_cell(cell))
            continue;
        reap_failed(&share, began_ns);
        return;
    }
}
