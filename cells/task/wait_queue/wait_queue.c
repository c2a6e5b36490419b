/* See wait_queue.h. A waiter takes itself out of the queue when its wait has ended, for whatever reason. So a waker
 * may find a task there that is awake already; it removes this task and wakes the next. */
#include "cells/task/wait_queue/wait_queue.h"
#include "cells/core/cpu/cpu.h"
#include "cells/core/panic/panic.h"
#include "cells/task/scheduler/scheduler.h"
#include "cells/task/task/task.h"

CELL("wait_queue", KERNEL, 1);
FOUNDATION();
EXPORT(wait_queue_wait, APPLICATION);
EXPORT(wait_queue_wake_one, APPLICATION);
EXPORT(wait_queue_wake_all, APPLICATION);
EXPORT(wait_queue_empty_of, KERNEL);
EXPORT(wait_queue_enter_again, KERNEL);

/* A task is in a queue until the end of the scope. */
struct place_guard {
    struct wait_queue *queue;
    struct task *task;
};

/* Before a fault of what follows. */
static void set_ends(struct wait_queue *queue, struct task *first, struct task *last) NEEDS(queue->lock)
{
    queue->first = first;
    queue->last = last;
    __atomic_signal_fence(__ATOMIC_SEQ_CST);
}

/* A task that the queue says is in it must say so too. Otherwise the queue is left empty, also when there is no task at
 * that address, which is a fault: the audit that follows finds those that are in it. */
static void check_member(struct wait_queue *queue, const struct task *task) NEEDS(queue->lock)
{
    struct task *first = queue->first, *last = queue->last;

    set_ends(queue, NULL, NULL);
    if (!task || task->wait_queue.queue != queue)
        panic("a wait queue is damaged");
    queue->first = first;
    queue->last = last;
}

static void append(struct wait_queue *queue, struct task *task) NEEDS(queue->lock)
{
    task->wait_queue = (struct wait_queue_part){.queue = queue};
    if (queue->first) { /* `last` of an empty queue counts for nothing: a fault may have left it */
        check_member(queue, queue->last);
        queue->last->wait_queue.next = task;
    } else {
        queue->first = task;
    }
    queue->last = task;
}

static struct place_guard place_take(struct wait_queue *queue, struct task *task)
{
    GUARD(lock) held = lock_take(&queue->lock);

    scheduler_begin_wait(&task->scheduler);
    append(queue, task);
    return (struct place_guard){queue, task};
}

static void unlink_task(struct wait_queue *queue, struct task *task) NEEDS(queue->lock)
{
    struct task *previous = NULL;

    for (struct task *at = queue->first; at != task; at = at->wait_queue.next) {
        check_member(queue, at);
        previous = at;
    }
    *(previous ? &previous->wait_queue.next : &queue->first) = task->wait_queue.next;
    if (queue->last == task)
        queue->last = previous;
    task->wait_queue = (struct wait_queue_part){0};
}

static void place_guard_end(struct place_guard *place)
{
    GUARD(lock) held = lock_take(&place->queue->lock);

    scheduler_end_wait(&place->task->scheduler);
    if (place->task->wait_queue.queue)
        unlink_task(place->queue, place->task);
}

/* The caller's lock is released until the end of the scope, but interrupts stay off. */
struct released_guard {
    struct lock_guard *held;
    struct lock *lock;
};

static struct released_guard release_lock(struct lock_guard *held)
{
    struct released_guard guard = {held, held->lock};
    struct lock_guard interrupts_stay_off = {held->lock, 0};

    held->lock = NULL;
    lock_guard_end(&interrupts_stay_off);
    return guard;
}

static void released_guard_end(struct released_guard *guard)
{
    if (!guard->lock)
        return;
    guard->held->lock = lock_take(guard->lock).lock;
}

enum wake wait_queue_wait(struct wait_queue *queue, struct lock_guard *held, uint64_t timeout_ns)
{
    uint64_t now = cpu_ns(), wake_ns = !timeout_ns ? 0 : timeout_ns < UINT64_MAX - now ? now + timeout_ns : UINT64_MAX;

    assert(lock_held(held->lock));
    GUARD(released)
    outside = {.held = held}; /* declared first: the task leaves the queue before it takes the lock again */
    GUARD(place) place = place_take(queue, task_this());
    outside = release_lock(held);
    return scheduler_wait(wake_ns);
}

/* Wakes the first task that is still asleep. False: there is none. A task that is awake waits for the queue's lock
 * before it leaves. The task is removed last, so that it can still be found after a fault in scheduler_wake. */
static bool wake_first(struct wait_queue *queue) NEEDS(queue->lock)
{
    while (queue->first) {
        struct task *task = queue->first;
        check_member(queue, task);
        bool woken = scheduler_wake(task, WAKE_EVENT);
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

/* ---- after a fault ---- */

/* Whether the task is between place_take and place_guard_end. The record of one that has failed says so. */
static bool is_in_queue(const struct task *task)
{
    uint32_t state = task->record->state;

    return task->wait_queue.queue && (state == TASK_BLOCKED || state == TASK_RUNNABLE || state == TASK_RUNNING);
}

/* No CPU is in a queue's critical section, but where it waits for a lock in order to wake a task of it: that task is in
 * the queue before and after. */
UNCHECKED void wait_queue_empty_of(struct task *task)
{
    bool in_queue = is_in_queue(task), unwinding = task->record->state == TASK_UNWINDING;
    struct wait_queue *queue = task->wait_queue.queue;

    __atomic_store_n(&task->wait_queue.queue, NULL, __ATOMIC_SEQ_CST); /* an address that is none fails once */
    if (in_queue || (unwinding && queue))                              /* the queue may still refer to it */
        set_ends(queue, NULL, NULL);
    if (in_queue)
        task->wait_queue.queue = queue;
    else
        task->wait_queue = (struct wait_queue_part){0};
}

UNCHECKED void wait_queue_enter_again(struct task *task)
{
    if (!is_in_queue(task))
        return;
    append(task->wait_queue.queue, task);
    (void)scheduler_wake(task, WAKE_EVENT);
}
