/* Searches memory for words that are addresses in the old cells of a plan: in the heap, in static data, in what tasks
 * are. Stacks are the quiescence cell's. Internal to the swap cell. */
#pragma once
#include "cells/core/arena/arena.h"
#include "cells/evolve/plan/plan.h"
#include "cells/evolve/swap/words.h"

/* Adds the words of heap and static data that have a counterpart in the new cells. Leaves out `apart`, pages of the
 * caller's, unless that is NULL. Other tasks may run. */
void scan_memory(const struct plan *plan, struct words *words, const struct mapped_pages *apart) NEEDS(loader_lock);
/* Whether a word of heap or static data is the address of a function, or of data, of an old cell. */
bool scan_memory_refers(const struct plan *plan) NEEDS(loader_lock);

/* Redirects tasks' functions (entry, ended, main) to their pairs, or `back` to the old cells. */
void scan_tasks_redirect(const struct plan *plan, bool back) NEEDS(arena_writer);
/* Whether a task's function is in an old cell. */
bool scan_tasks_refer(const struct plan *plan);
