/* Looks for words that point into the old cells of a plan: on stacks, in the heap, in static data. Changes nothing but the
 * plan's list of words. Internal to the swap cell. */
#pragma once
#include "cells/kernel/arena/arena.h"
#include "cells/kernel/swap/plan.h"
#include "cells/kernel/swap/reach.h"

struct task;

/* Others parked: adds the words on stacks that have a place in the new cells, of tasks that can reach the old ones; `reach` NULL: of all. The
 * caller's own frames, below `own_rsp`, are left out. How many words lie within functions of the old cells. */
uint64_t scan_stacks(struct plan *plan, const struct reach *reach, uint64_t own_rsp);
/* Adds the words of heap and static data that have a place in the new cells. */
void scan_memory(struct plan *plan);

/* Others parked: whether a frame on some stack will return into an old cell, or its data is pointed to from there. */
bool scan_stacks_hold(const struct plan *plan, uint64_t own_rsp);
/* Others parked: whether a word on some stack lies within [low, high). */
bool scan_stacks_say(uint64_t low, uint64_t high, uint64_t own_rsp);
/* Whether a word of heap or static data points to the start of a function, or to data, of an old cell. */
bool scan_memory_holds(const struct plan *plan);
/* Others parked: whether the task has a frame in an old cell that cannot go on in a new one, and where. */
bool scan_task_stuck(const struct plan *plan, struct task *task, uint64_t own_rsp, uint64_t *ret_rip);

/* Functions of tasks (entry, ended): led to their twins or back, or asked for. */
void scan_tasks_move(const struct plan *plan, bool back) NEEDS(arena_writer);
bool scan_tasks_hold(const struct plan *plan);
