/* Looks for words that point into the old cells of a plan: in the heap, in static data, in what tasks are. Changes nothing but
 * the plan's list of words. Internal to the swap cell. */
#pragma once
#include "cells/kernel/arena/arena.h"
#include "cells/kernel/swap/plan.h"

/* Adds the words of heap and static data that have a place in the new cells. */
void scan_memory(struct plan *plan);

/* Whether a word of heap or static data points to the start of a function, or to data, of an old cell. */
bool scan_memory_holds(const struct plan *plan);
/* Functions of tasks (entry, ended): led to their twins or back, or asked for. */
void scan_tasks_move(const struct plan *plan, bool back) NEEDS(arena_writer);
bool scan_tasks_hold(const struct plan *plan);
