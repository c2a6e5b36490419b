/* The second version of the scheduler cell: a task has a priority, which says how many turns of a CPU it gets while others
 * want it too, and that it goes first. Everything else is as in scheduler.h. Comes and goes together with the second version
 * of the run_queue cell, which keeps the priorities. */
#pragma once
#include "cells/cell.h"

struct task;

/* From its next turn on. ERR_RANGE: not 1 .. SCHEDULER_PRIORITY_MAX. Kept over restarts of the task, but not over a swap to
 * a version without priorities. */
#define SCHEDULER_PRIORITY_MAX     32
#define SCHEDULER_PRIORITY_DEFAULT 8
enum err scheduler_set_priority(const struct task *task, unsigned priority);
unsigned scheduler_priority(const struct task *task);
