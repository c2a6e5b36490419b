/* A queue of ready tasks per CPU, first in, first out. Tells where a task should be queued, and steals for an idle
 * CPU; does not switch. A queued task whose stack is still in use on another CPU is skipped until it is not. */
#pragma once
#include "cells/cell.h"
#include "cells/core/cpu/cpu.h"

struct task;

/* The run queue's part of struct task. */
struct run_queue_part {
    struct task *next;
    uint32_t queued; /* 1: in a run queue */
    uint32_t cpu;    /* index: where it ran last */
};

/* Queues the task at `cpu`; does nothing when it is queued already. From any context. True: that CPU is idle, and
 * has to be told. */
bool run_queue_put(unsigned cpu, struct task *task);
/* Takes the next task that `cpu` may run out of its queue, or out of another CPU's, and marks it as on a CPU.
 * `running` is the task of the caller, which may be returned if it is queued. NULL: there is none, and the CPU
 * counts as idle. */
struct task *run_queue_take(unsigned cpu, struct task *running);
/* The CPU that `task` should be queued at: where it is pinned, else where it ran last unless others have less to do. */
unsigned run_queue_place(const struct task *task);
size_t run_queue_length(unsigned cpu);
/* From now on `cpu` takes tasks. */
void run_queue_open(unsigned cpu);
/* Empties all queues. Other CPUs parked. For scheduler_rebuild, which then queues the tasks again. */
void run_queue_empty(void);

/* For a new task: it counts as having run last on `cpu`. */
static inline void run_queue_start_at(struct run_queue_part *part, unsigned cpu)
{
    part->cpu = cpu;
}
/* Where the task ran last. 0: what it says is no CPU. */
static inline unsigned run_queue_last(const struct run_queue_part *part)
{
    return part->cpu < CPU_MAX ? part->cpu : 0;
}
static inline bool run_queue_has(const struct run_queue_part *part)
{
    return __atomic_load_n(&part->queued, __ATOMIC_ACQUIRE);
}
/* The task is in no queue, since all have been emptied. */
static inline void run_queue_forget(struct run_queue_part *part)
{
    part->queued = 0;
}
