/* The second version of the run_queue cell: one binary heap of ready tasks per CPU, by priority and tokens (thesis
 * §9.1.2).
 *
 * A token is one time slice. Of the tasks that have tokens the one of highest priority runs first, of equal ones the
 * one that was queued first. A task whose time slice ends while it could continue gives up a token. Without tokens
 * it waits for the next epoch, which starts when no task in the queue has any, and in which it gets as many as its
 * priority. So the CPU's time is shared in proportion to priorities, and no task starves.
 *
 * Exports the functions of run_queue.h, but for run_queue_place: run_queue_add takes its place. */
#pragma once
#include "cells/cell.h"
#include "cells/task/run_queue/run_queue.h"

/* Queues the task at the CPU where it should run. True: that CPU has to choose again, since it is idle or runs a
 * task of lower rank. */
bool run_queue_add(struct task *task, unsigned *ret_cpu);
/* `priority`: 1 .. SCHEDULER_PRIORITY_MAX. Takes effect when the task is queued next. */
void run_queue_set_priority(const struct task *task, unsigned priority);
unsigned run_queue_priority(const struct task *task);
