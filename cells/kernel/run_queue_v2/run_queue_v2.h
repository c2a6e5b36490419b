/* The second version of the run_queue cell: one binary heap of runnable tasks per CPU, by priority and tokens (thesis §9.1.2).
 *
 * A token is a turn. Tasks that have tokens run, those of the highest priority first, and of the same one in turn; a task
 * whose turn ends while it could go on gives up one. Without tokens it waits for the next epoch, which begins when nobody in
 * the queue has any left, and in which it has as many as its priority says. So shares are as priorities, and nobody starves.
 *
 * Exports what run_queue.h says but for run_queue_place, in whose stead is run_queue_add. */
#pragma once
#include "cells/cell.h"
#include "cells/kernel/run_queue/run_queue.h"

/* Queues the task where it should go. True: that CPU is to choose anew, since it is idle or runs what comes after. */
bool run_queue_add(struct task *task, unsigned *ret_cpu);
/* 1 .. SCHEDULER_PRIORITY_MAX; counts from when the task is queued next. */
void run_queue_set_priority(const struct task *task, unsigned priority);
unsigned run_queue_priority(const struct task *task);
