/* See wait_queue.h. A waiter takes itself out of the queue when it goes on, whoever ended its wait; so a waker may find
 * a task there that is awake already, and takes the next one. */
#include "cells/kernel/wait_queue/wait_queue.h"
#include "cells/kernel/cpu/cpu.h"
#include "cells/kernel/panic/panic.h"
#include "cells/kernel/scheduler/scheduler.h"
#include "cells/kernel/task/task.h"

CELL("wait_queue", KERNEL, 1);
EXPORT(wait_queue_wait, APPLICATION);
EXPORT(wait_queue_wake_one, APPLICATION);
EXPORT(wait_queue_wake_all, APPLICATION);

/* A task's place in a queue, for as long as the scope lasts. */
struct place_guard {
    struct wait_queue *queue;
    struct task *task;
};

static struct place_guard place_take(struct wait_queue *queue, struct task *task)
{
    GUARD(lock) held = lock_take(&queue->lock);

    task->next_wait = NULL;
    task->waiting_in = queue;
    task->wake_reason = ERR_OK;
    __atomic_store_n(&task->waiting, 1, __ATOMIC_RELEASE);
    if (queue->last)
        queue->last->next_wait = task;
    else
        queue->first = task;
    queue->last = task;
    return (struct place_guard){queue, task};
}

static void unlink_task(struct wait_queue *queue, struct task *task) NEEDS(queue->lock)
{
    struct task *previous = NULL;

    for (struct task *at = queue->first; at != task; at = at->next_wait)
        previous = at;
    *(previous ? &previous->next_wait : &queue->first) = task->next_wait;
    if (queue->last == task)
        queue->last = previous;
    task->next_wait = NULL;
    task->waiting_in = NULL;
}

static void place_guard_end(struct place_guard *place)
{
    GUARD(lock) held = lock_take(&place->queue->lock);

    __atomic_store_n(&place->task->waiting, 0, __ATOMIC_RELEASE);
    if (place->task->waiting_in)
        unlink_task(place->queue, place->task);
}

/* Lets the caller's lock go, but leaves interrupts off, and takes it again at the end of the scope. */
struct released_guard {
    struct lock_guard *held;
    struct lock *lock;
};

static struct released_guard released(struct lock_guard *held)
{
    struct released_guard guard = {held, held->lock};
    struct lock_guard quiet = {held->lock, 0};

    held->lock = NULL;
    lock_guard_end(&quiet);
    return guard;
}

static void released_guard_end(struct released_guard *guard)
{
    if (!guard->lock)
        return;
    guard->held->lock = lock_take(guard->lock).lock;
}

enum err wait_queue_wait(struct wait_queue *queue, struct lock_guard *held, uint64_t timeout_ns)
{
    uint64_t now = cpu_ns(), wake_ns = !timeout_ns ? 0 : timeout_ns < UINT64_MAX - now ? now + timeout_ns : UINT64_MAX;

    assert(lock_held(held->lock));
    GUARD(released) outside = {.held = held}; /* first, so that the place in the queue is given up without the lock */
    GUARD(place) place = place_take(queue, task_this());
    outside = released(held);
    return scheduler_wait(wake_ns) == ERR_OK ? ERR_OK : ERR_TIMEOUT;
}

/* The first task of the queue that was still asleep is ready; false when there is none. The queue's lock is held: a
 * task that is awake waits for it. It is taken out last, so that a fault on the way leaves it where it can be found. */
static bool wake_first(struct wait_queue *queue) NEEDS(queue->lock)
{
    while (queue->first) {
        struct task *task = queue->first;
        bool woken = scheduler_wake(task, ERR_OK);
        unlink_task(queue, task);
        if (woken)
            return true;
    }
    return false;
}

bool wait_queue_wake_one(struct wait_queue *queue)
{
    GUARD(lock) held = lock_take(&queue->lock);
    return wake_first(queue);
}

size_t wait_queue_wake_all(struct wait_queue *queue)
{
    GUARD(lock) held = lock_take(&queue->lock);
    size_t woken = 0;

    while (wake_first(queue))
        woken++;
    return woken;
}
