/* Where tasks sleep until they are woken or time is up. The caller checks its condition under a lock of its own,
 * which is released while the task sleeps and held again on return. A queue of zero bytes is empty. It must stay
 * where it is until everybody who waits in it has returned. */
#pragma once
#include "cells/cell.h"
#include "cells/core/lock/lock.h"
#include "cells/task/scheduler/scheduler.h"

struct wait_queue {
    struct task *first, *last; /* under lock */
    struct lock lock;
};

/* The wait queue's part of struct task, under the lock of the queue. */
struct wait_queue_part {
    struct task *next;
    struct wait_queue *queue; /* that the task waits in, or NULL */
};

/* Sleeps until woken, for `timeout_ns` at most (0: for ever). `held` guards the caller's condition; no other lock is
 * held. Not from an interrupt handler. Check the condition again after either result. */
enum wake wait_queue_wait(struct wait_queue *queue, struct lock_guard *held, uint64_t timeout_ns);
/* Wakes the task that has slept longest. From any context. False: nobody slept. */
bool wait_queue_wake_one(struct wait_queue *queue);
/* Wakes all tasks. From any context. Returns how many slept. */
size_t wait_queue_wake_all(struct wait_queue *queue);

/* Whether the task is in a queue. */
static inline bool wait_queue_has(const struct wait_queue_part *part)
{
    return __atomic_load_n(&part->queue, __ATOMIC_RELAXED);
}

/* After a fault that may have damaged queues, or lost a wake-up: makes each queue again from what its tasks say, in any
 * order, and wakes them all. Call the first for every task, then the second for every task; other CPUs parked. A task
 * that has failed leaves its queue. */
void wait_queue_empty_of(struct task *task);
void wait_queue_enter_again(struct task *task);
