/* See run_queue.h. A task is in the list of one queue exactly while its `queued` is 1; both change under that
 * queue's lock. */
#include "cells/task/run_queue/run_queue.h"
#include "cells/core/cpu/cpu.h"
#include "cells/core/lock/lock.h"
#include "cells/core/panic/panic.h"
#include "cells/task/task/task.h"

CELL("run_queue", KERNEL, 1);
FOUNDATION();
EXPORT(run_queue_put, KERNEL);
EXPORT(run_queue_take, KERNEL);
EXPORT(run_queue_place, KERNEL);
EXPORT(run_queue_length, KERNEL);
EXPORT(run_queue_open, KERNEL);
EXPORT(run_queue_empty, KERNEL);

static struct run_queue {
    struct lock lock;
    struct task *first, *last;
    uint32_t length;
    bool open; /* the CPU takes tasks */
    bool busy; /* the CPU runs another task than its idle task */
} queues[CPU_MAX];

static void append(struct run_queue *queue, struct task *task) NEEDS(queue->lock)
{
    task->run_queue.next = NULL;
    if (queue->last)
        queue->last->run_queue.next = task;
    else
        queue->first = task;
    queue->last = task;
    queue->length++;
}

bool run_queue_put(unsigned cpu, struct task *task)
{
    struct run_queue *queue = &queues[cpu];
    GUARD(lock) held = lock_take(&queue->lock);

    if (__atomic_exchange_n(&task->run_queue.queued, 1, __ATOMIC_ACQ_REL))
        return false;
    append(queue, task);
    return queue->open && !queue->busy;
}

static bool may_run(const struct task *task, unsigned cpu, const struct task *running)
{
    if (task->pinned && task->pinned != cpu + 1)
        return false;
    return task == running || !__atomic_load_n(&task->on_cpu, __ATOMIC_ACQUIRE);
}

static struct task *take_from(struct run_queue *queue, unsigned cpu, const struct task *running)
{
    GUARD(lock) held = lock_take(&queue->lock);
    struct task *task = queue->first, *previous = NULL;

    while (task && !may_run(task, cpu, running)) {
        previous = task;
        task = task->run_queue.next;
    }
    if (!task) {
        /* Under the lock: who queues a task here from now on tells this CPU. */
        if (queue == &queues[cpu])
            queue->busy = false;
        return NULL;
    }
    if (!run_queue_has(&task->run_queue)) /* to run it would leave the others waiting behind it for ever */
        panic("a task in a run queue that says that it is in none");
    *(previous ? &previous->run_queue.next : &queue->first) = task->run_queue.next;
    if (queue->last == task)
        queue->last = previous;
    queue->length--;
    task->run_queue.next = NULL;
    task->run_queue.cpu = cpu;
    task->on_cpu = 1;
    __atomic_store_n(&task->run_queue.queued, 0, __ATOMIC_RELEASE);
    if (queue == &queues[cpu])
        queue->busy = true;
    return task;
}

struct task *run_queue_take(unsigned cpu, struct task *running)
{
    struct task *task = take_from(&queues[cpu], cpu, running);

    for (unsigned i = 1; !task && i < CPU_MAX; i++) {
        struct run_queue *other = &queues[(cpu + i) % CPU_MAX];
        if (!run_queue_length((cpu + i) % CPU_MAX))
            continue;
        task = take_from(other, cpu, running);
        if (task)
            queues[cpu].busy = true;
    }
    return task;
}

static uint32_t load_of(unsigned cpu)
{
    return (uint32_t)run_queue_length(cpu) + queues[cpu].busy;
}

unsigned run_queue_place(const struct task *task)
{
    unsigned best = run_queue_last(&task->run_queue);

    if (task->pinned)
        return task->pinned - 1;
    for (unsigned cpu = 0; cpu < CPU_MAX; cpu++)
        if (queues[cpu].open && (!queues[best].open || load_of(cpu) < load_of(best)))
            best = cpu;
    return best;
}

size_t run_queue_length(unsigned cpu)
{
    return __atomic_load_n(&queues[cpu].length, __ATOMIC_RELAXED);
}

void run_queue_open(unsigned cpu)
{
    queues[cpu].open = true;
    queues[cpu].busy = true;
}

void run_queue_empty(void)
{
    for (unsigned cpu = 0; cpu < CPU_MAX; cpu++) {
        struct run_queue *queue = &queues[cpu];
        queue->lock = (struct lock){}; /* nobody holds it */
        queue->first = queue->last = NULL;
        queue->length = 0;
        queue->open = cpu_get(cpu) && cpu_get(cpu)->task;
        queue->busy = false; /* so that each CPU is told of the tasks that it gets */
    }
}

/* ---- from another version ---- */

static void requeue(struct task *task, void *)
{
    struct run_queue *queue = &queues[(task->pinned ? task->pinned - 1 : run_queue_last(&task->run_queue)) % CPU_MAX];

    if (!task->run_queue.queued)
        return;
    GUARD(lock) held = lock_take(&queue->lock);
    append(queue, task);
}

/* Builds the queues from what tasks and CPUs say of themselves, since another version's queues may look different. This
 * version's own data has been copied. */
static enum err run_queue_transfer(const struct cell_transfer *transfer)
{
    if (transfer->from_version == 1)
        return ERR_OK;
    run_queue_empty();
    for (unsigned cpu = 0; cpu < CPU_MAX; cpu++) {
        const struct task *task = cpu_get(cpu) ? cpu_get(cpu)->task : NULL;
        queues[cpu].open = task;
        queues[cpu].busy = task && !(task->immortal && task->pinned);
    }
    task_each(requeue, NULL);
    return ERR_OK;
}
TRANSFER(run_queue_transfer);
