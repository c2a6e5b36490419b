/* Looks for words that point into a cell: on stacks, in the heap, in static data. Internal to the swap cell. */
#pragma once
#include "cells/kernel/arena/arena.h"
#include "cells/kernel/swap/plan.h"

/* Others parked: rewrites all words on stacks that point into the old cell and have a place in the new one. The
 * caller's own frames, below `own_rsp`, are left out. How many words lie within functions of the old cell. */
uint64_t scan_stacks(const struct plan *plan, uint64_t own_rsp);

/* Fills in plan->word with the words of heap and static data that point into the old cell and can be rewritten. */
void scan_memory(struct plan *plan);
/* Rewrites those that still say the same; any context. */
void scan_apply(const struct plan *plan);

/* Others parked: whether a frame on some stack will return into the cell, or its data is pointed to from there. */
bool scan_stacks_hold(uint32_t cell, uint64_t own_rsp);
/* Whether a word of heap or static data points to the start of a function, or to data, of the cell. */
bool scan_memory_holds(uint32_t cell);

/* Function pointers of tasks: rewritten by the plan, or asked for. */
void scan_tasks_move(const struct plan *plan, bool back) NEEDS(arena_writer);
bool scan_tasks_hold(uint32_t cell);
