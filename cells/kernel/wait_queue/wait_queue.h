/* Where tasks sleep until somebody wakes them or time runs out. The condition is checked by the caller, under the lock
 * it passes, which is released while asleep and held again on return. A queue of zero bytes is an empty queue; it must
 * stay in place until whoever waits in it has returned. */
#pragma once
#include "cells/cell.h"
#include "cells/kernel/lock/lock.h"

struct task;
struct wait_queue {
    struct task *first, *last;
    struct lock lock;
};

/* Sleeps until woken; timeout_ns 0: for ever. ERR_OK woken, ERR_TIMEOUT. `held` guards the caller's condition. */
enum err wait_queue_wait(struct wait_queue *queue, struct lock_guard *held, uint64_t timeout_ns);
bool wait_queue_wake_one(struct wait_queue *queue); /* any context */
size_t wait_queue_wake_all(struct wait_queue *queue);
