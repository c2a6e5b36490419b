/* See reap.h. An old cell goes when no edge, task, frame or word of memory leads to it; what still does is led to those that
 * took over, where they have the same. */
#include "cells/kernel/swap/reap.h"
#include "cells/kernel/arena/arena.h"
#include "cells/kernel/loader/loader.h"
#include "cells/kernel/park/park.h"
#include "cells/kernel/swap/commit.h"
#include "cells/kernel/swap/scan.h"
#include "cells/kernel/swap/stack.h"
#include "cells/kernel/swap/swap.h"
#include "cells/lib/string/string.h"

EXPORT(swap_reap, KERNEL);
EXPORT(swap_free, KERNEL);

#define WORDS_MAX 2048 /* what is more is led to the new cells the next time */
#define TRAP_BYTE 0xcc

/* The swap in which a cell came, and the one in which it went; 0: none. By index. */
static uint32_t came[ARENA_CELLS_MAX], went[ARENA_CELLS_MAX];
static uint32_t swap_number;

void reap_note(const struct plan *plan)
{
    swap_number++;
    for (size_t i = 0; i < plan->news; i++)
        came[plan->new_[i]] = swap_number;
    for (size_t i = 0; i < plan->olds; i++)
        went[plan->old[i]] = swap_number;
}

static void lead_to_heirs(struct plan *plan)
{
    if (!plan->news || plan_reserve_words(plan, WORDS_MAX))
        return;
    scan_memory(plan);
    GUARD(park) parked = park_all();
    (void)stack_look(plan, NULL, (uint64_t)__builtin_frame_address(0));
    (void)stack_add_words(plan);
    for (size_t i = 0; i < plan->words; i++)
        commit_word(&plan->word[i]);
}

static bool edges_hold(uint32_t cell)
{
    for (uint32_t s = arena_cell(cell)->first_section; s; s = arena_section(s)->next_in_cell)
        for (uint32_t e = arena_section(s)->first_in; e; e = arena_edge(e)->next_in)
            if (arena_section(arena_edge(e)->from)->cell != cell)
                return true;
    return false;
}

static bool is_held(const struct plan *plan)
{
    if (scan_tasks_hold(plan) || scan_memory_holds(plan))
        return true;
    GUARD(park) parked = park_all();
    return stack_holds(plan, (uint64_t)__builtin_frame_address(0));
}

static bool are_held(const uint32_t *cells, size_t count)
{
    bool held = false;

    for (size_t at = 0; at < count && !held; at += SWAP_SET_MAX) {
        size_t some = count - at < SWAP_SET_MAX ? count - at : SWAP_SET_MAX;
        OWN(plan) struct plan *plan = plan_pair(cells + at, some, NULL, 0, false, NULL);
        held = !plan || is_held(plan);
    }
    return held;
}

size_t swap_free(uint32_t *cells, size_t count)
{
    GUARD(loader) turn = loader_hold();
    size_t freed = are_held(cells, count) ? 0 : loader_unload_all(cells, count);

    for (size_t i = 0; i < freed; i++)
        came[cells[i]] = went[cells[i]] = 0;
    return freed;
}

static size_t find_heirs(uint32_t cell, uint32_t ret_heirs[SWAP_SET_MAX])
{
    uint32_t used = arena_header()->table[ARENA_CELLS].used;
    size_t count = 0;

    for (uint32_t i = 1; went[cell] && i < used && count < SWAP_SET_MAX; i++)
        if (came[i] == went[cell] && (arena_cell(i)->state == CELL_LIVE || arena_cell(i)->state == CELL_OLD))
            ret_heirs[count++] = i;
    return count;
}

/* False: something holds it. */
static bool reap(uint32_t cell)
{
    uint32_t heirs[SWAP_SET_MAX];
    OWN(plan) struct plan *plan = plan_pair(&cell, 1, heirs, find_heirs(cell, heirs), false, NULL);

    if (!plan)
        return false;
    lead_to_heirs(plan);
    if (edges_hold(cell) || is_held(plan) || loader_unload(cell))
        return false;
    came[cell] = went[cell] = 0;
    return true;
}

/* ---- the image ---- */

/* Those of its cells that have been replaced, and which came for them. False: some are live, and it stays. */
static bool gather_image(uint32_t ret_cells[SWAP_SET_MAX], size_t *ret_count, uint32_t ret_heirs[SWAP_SET_MAX],
                         size_t *ret_heirs_count)
{
    uint32_t used = arena_header()->table[ARENA_CELLS].used, last = 0;
    size_t count = 0, heirs = 0;
    bool whole = true;

    for (uint32_t i = 1; i < used && count < SWAP_SET_MAX; i++) {
        if (!arena_in_image(arena_cell(i)) || arena_cell(i)->state == CELL_FREE)
            continue;
        whole &= arena_cell(i)->state == CELL_OLD;
        if (arena_cell(i)->state == CELL_OLD)
            ret_cells[count++] = i;
    }
    for (uint32_t i = 1; i < used && heirs < SWAP_SET_MAX; i++)
        for (size_t k = 0; k < count && last != i; k++)
            if (came[i] && came[i] == went[ret_cells[k]])
                ret_heirs[heirs++] = last = i;
    *ret_count = count;
    *ret_heirs_count = heirs;
    return whole;
}

static void fill(uint64_t phys, size_t bytes)
{
    if (bytes)
        memset(page_direct(phys), TRAP_BYTE, bytes);
}

/* All at once, since they share pages and unwind tables. What comes there in spite of all that has been looked at traps. */
static size_t reap_image(void)
{
    static uint32_t cells[SWAP_SET_MAX], heirs[SWAP_SET_MAX];
    size_t count, heirs_count;
    GUARD(loader) turn = loader_hold();

    if (!gather_image(cells, &count, heirs, &heirs_count) || !count)
        return count;
    OWN(plan) struct plan *plan = plan_pair(cells, count, heirs, heirs_count, false, NULL);
    if (!plan)
        return count;
    lead_to_heirs(plan);
    if (is_held(plan))
        return count;
    for (size_t i = 0; i < count; i++) {
        const struct arena_cell *c = arena_cell(cells[i]);
        fill(c->text_phys, c->text_bytes);
        fill(c->rodata_phys, c->rodata_bytes);
        fill(c->data_phys, c->data_bytes);
    }
    size_t freed = loader_unload_all(cells, count);
    for (size_t i = 0; i < freed; i++)
        came[cells[i]] = went[cells[i]] = 0;
    return count - freed;
}

size_t swap_reap(void)
{
    uint32_t used = arena_header()->table[ARENA_CELLS].used;
    size_t still = reap_image();

    for (uint32_t i = 1; i < used; i++) {
        if (arena_cell(i)->state != CELL_OLD || arena_in_image(arena_cell(i)))
            continue;
        GUARD(loader) turn = loader_hold();
        if (arena_cell(i)->state == CELL_OLD) /* else gone, while somebody else had the turn */
            still += !reap(i);
    }
    return still;
}
