/* The second version of the scheduler cell: tasks have priorities. Of ready tasks the one of higher priority runs
 * first, and gets more time slices. The rest is as in scheduler.h. Swap it in together with the second version of
 * the run_queue cell, which keeps the priorities. */
#pragma once
#include "cells/cell.h"

struct task;

#define SCHEDULER_PRIORITY_MAX     32
#define SCHEDULER_PRIORITY_DEFAULT 8
/* Sets the priority from the next time the task is queued. It is kept over restarts of the task, but not over a swap
 * to version 1. ERR_RANGE: not 1 .. SCHEDULER_PRIORITY_MAX. */
enum err scheduler_set_priority(const struct task *task, unsigned priority);
unsigned scheduler_priority(const struct task *task);
