/* One queue of runnable tasks per CPU, first in, first out. Tells where a task should go and steals for an idle CPU;
 * switches nothing. A queued task whose stack is still in use on another CPU is passed over until it is not. */
#pragma once
#include "cells/cell.h"

struct task;

/* True: that CPU is idle, and has to be told. Any context. Does nothing for a task that is queued already. */
bool run_queue_put(unsigned cpu, struct task *task);
/* The next task that `cpu` may run now, marked as on a CPU: its own, else another's. NULL: none, the CPU counts as
 * idle. `running`, the task that the caller runs in, may be returned too when it is queued. */
struct task *run_queue_take(unsigned cpu, struct task *running);
/* The CPU that `task` should be queued on: where it is pinned, else where it ran last unless others have less to do. */
unsigned run_queue_place(const struct task *task);
size_t run_queue_length(unsigned cpu);
/* From now on `cpu` takes tasks. */
void run_queue_open(unsigned cpu);
/* Forgets all that is queued, while other CPUs are parked: for scheduler_rebuild. */
void run_queue_empty(void);
