/* See run_queue_v2.h. Priority and tokens of a task are in a table of this version's own, by the task's index in the
 * arena, since other versions know nothing of them. A task is in one heap exactly while its `queued` is 1; a
 * standing is written under the lock of the queue that its task is put into or taken from. */
#include "cells/task/run_queue_v2/run_queue_v2.h"
#include "cells/core/cpu/cpu.h"
#include "cells/core/lock/lock.h"
#include "cells/task/scheduler_v2/scheduler_v2.h"
#include "cells/task/task/task.h"

CELL("run_queue", KERNEL, 2);
FOUNDATION();
EXPORT(run_queue_put, KERNEL);
EXPORT(run_queue_take, KERNEL);
EXPORT(run_queue_add, KERNEL);
EXPORT(run_queue_length, KERNEL);
EXPORT(run_queue_open, KERNEL);
EXPORT(run_queue_empty, KERNEL);
EXPORT(run_queue_set_priority, KERNEL);
EXPORT(run_queue_priority, KERNEL);

/* The place of a task among those that want a CPU. */
struct rank {
    uint64_t epoch;  /* in which it runs */
    uint64_t number; /* in the order of queueing */
    uint32_t priority;
};

/* Of the task of this index in the arena. `priority` is atomic: anybody may write it. */
static struct standing {
    struct task *task; /* while queued */
    struct rank rank;  /* when it was queued */
    uint32_t id;       /* of the task that this is about */
    uint32_t priority, tokens, cpu;
} standings[ARENA_TASKS_MAX];

static struct heap_queue {
    struct lock lock;
    uint32_t length;
    uint16_t heap[ARENA_TASKS_MAX]; /* indices of standings; the task that runs first is at 0 */
    struct rank running;            /* of the task that was taken last */
    uint64_t epoch;
    uint64_t queued; /* tasks so far: the number of the next one */
    bool open;       /* the CPU takes tasks */
    bool busy;       /* the CPU runs another task than its idle task */
} heap_queues[CPU_MAX];

static struct lock arrivals; /* held to make the standing of a task that has none yet */

static __attribute__((noinline)) void make_standing(const struct task *task, struct standing *standing)
{
    GUARD(lock) held = lock_take(&arrivals);

    if (standing->id == task->id)
        return;
    *standing = (struct standing){.priority = SCHEDULER_PRIORITY_DEFAULT, .tokens = SCHEDULER_PRIORITY_DEFAULT};
    __atomic_store_n(&standing->id, task->id, __ATOMIC_RELEASE);
}

static struct standing *standing_of(const struct task *task)
{
    struct standing *standing = &standings[task->ref.index % ARENA_TASKS_MAX];

    if (__atomic_load_n(&standing->id, __ATOMIC_ACQUIRE) != task->id)
        make_standing(task, standing);
    return standing;
}

void run_queue_set_priority(const struct task *task, unsigned priority)
{
    int32_t above = (int32_t)priority - SCHEDULER_PRIORITY_DEFAULT;

    __atomic_store_n(&standing_of(task)->priority, priority, __ATOMIC_RELAXED);
    __atomic_store_n(&task->record->priority, above, __ATOMIC_RELAXED);
}

unsigned run_queue_priority(const struct task *task)
{
    return __atomic_load_n(&standing_of(task)->priority, __ATOMIC_RELAXED);
}

/* ---- the heap ---- */

static bool is_before(const struct rank *a, const struct rank *b)
{
    if (a->epoch != b->epoch)
        return a->epoch < b->epoch;
    return a->priority != b->priority ? a->priority > b->priority : a->number < b->number;
}

static bool is_in_order(const struct heap_queue *queue, uint32_t above, uint32_t below) NEEDS(queue->lock)
{
    return !is_before(&standings[queue->heap[below]].rank, &standings[queue->heap[above]].rank);
}

static void swap_entries(struct heap_queue *queue, uint32_t a, uint32_t b) NEEDS(queue->lock)
{
    uint16_t index = queue->heap[a];

    queue->heap[a] = queue->heap[b];
    queue->heap[b] = index;
}

static void sift_up(struct heap_queue *queue, uint32_t at) NEEDS(queue->lock)
{
    for (; at && !is_in_order(queue, (at - 1) / 2, at); at = (at - 1) / 2)
        swap_entries(queue, (at - 1) / 2, at);
}

static void sift_down(struct heap_queue *queue, uint32_t at) NEEDS(queue->lock)
{
    for (;;) {
        uint32_t first = at;
        for (uint32_t child = 2 * at + 1; child <= 2 * at + 2 && child < queue->length; child++)
            if (!is_in_order(queue, first, child))
                first = child;
        if (first == at)
            return;
        swap_entries(queue, at, first);
        at = first;
    }
}

static void remove_entry(struct heap_queue *queue, uint32_t at) NEEDS(queue->lock)
{
    queue->heap[at] = queue->heap[--queue->length];
    if (at == queue->length)
        return;
    sift_up(queue, at);
    sift_down(queue, at);
}

/* ---- queueing ---- */

/* Gives the task its epoch and tokens. In a later epoch of the same CPU it starts with all its tokens; epochs of
 * another CPU do not compare, so there it keeps what it has. */
static void update_rank(struct standing *standing, const struct heap_queue *queue, uint32_t cpu) NEEDS(queue->lock)
{
    uint32_t priority = __atomic_load_n(&standing->priority, __ATOMIC_RELAXED);
    bool later = standing->cpu == cpu && standing->rank.epoch < queue->epoch;

    if (later || standing->tokens > priority)
        standing->tokens = priority;
    standing->cpu = cpu;
    standing->rank.epoch = queue->epoch + !standing->tokens;
    if (!standing->tokens)
        standing->tokens = priority;
    standing->rank.priority = priority;
}

static void insert(struct heap_queue *queue, uint32_t cpu, struct task *task) NEEDS(queue->lock)
{
    struct standing *standing = standing_of(task);

    update_rank(standing, queue, cpu);
    standing->rank.number = queue->queued++;
    standing->task = task;
    queue->heap[queue->length] = (uint16_t)(standing - standings);
    sift_up(queue, queue->length++);
}

bool run_queue_put(unsigned cpu, struct task *task)
{
    struct heap_queue *queue = &heap_queues[cpu];
    GUARD(lock) held = lock_take(&queue->lock);
    struct standing *standing = standing_of(task);

    if (__atomic_exchange_n(&task->run_queue.queued, 1, __ATOMIC_ACQ_REL))
        return false;
    if (task == cpu_task() && standing->tokens)
        standing->tokens--; /* its time slice is over, and it wants another one */
    insert(queue, cpu, task);
    return queue->open && (!queue->busy || is_before(&standing->rank, &queue->running));
}

static uint32_t load_of(unsigned cpu)
{
    return (uint32_t)run_queue_length(cpu) + heap_queues[cpu].busy;
}

/* See run_queue_place. */
static unsigned best_place(const struct task *task)
{
    unsigned best = run_queue_last(&task->run_queue);

    if (task->pinned)
        return task->pinned - 1;
    for (unsigned cpu = 0; cpu < CPU_MAX; cpu++)
        if (heap_queues[cpu].open && (!heap_queues[best].open || load_of(cpu) < load_of(best)))
            best = cpu;
    return best;
}

bool run_queue_add(struct task *task, unsigned *ret_cpu)
{
    *ret_cpu = best_place(task);
    return run_queue_put(*ret_cpu, task);
}

/* ---- taking ---- */

static bool may_run(const struct task *task, unsigned cpu, const struct task *running)
{
    if (task->pinned && task->pinned != cpu + 1)
        return false;
    return task == running || !__atomic_load_n(&task->on_cpu, __ATOMIC_ACQUIRE);
}

/* Where the first task in the heap that may run is: mostly at 0. `length`: none may. */
static uint32_t find_runnable(const struct heap_queue *queue, unsigned cpu, const struct task *running)
    NEEDS(queue->lock)
{
    uint32_t best = queue->length;

    for (uint32_t at = 0; at < queue->length && best; at++)
        if (may_run(standings[queue->heap[at]].task, cpu, running) &&
            (best == queue->length || !is_in_order(queue, best, at)))
            best = at;
    return best;
}

static struct task *take_from(struct heap_queue *queue, unsigned cpu, const struct task *running)
{
    GUARD(lock) held = lock_take(&queue->lock);
    uint32_t at = find_runnable(queue, cpu, running);
    struct heap_queue *own = &heap_queues[cpu];

    if (at == queue->length) {
        /* Under the lock: who queues a task here from now on tells this CPU. */
        if (queue == own)
            queue->busy = false;
        return NULL;
    }
    struct standing *standing = &standings[queue->heap[at]];
    struct task *task = standing->task;
    remove_entry(queue, at);
    standing->task = NULL;
    if (queue->epoch < standing->rank.epoch)
        queue->epoch = standing->rank.epoch;
    if (queue == own) {
        queue->busy = true;
        queue->running = standing->rank;
    }
    task->run_queue.cpu = cpu;
    task->on_cpu = 1;
    __atomic_store_n(&task->run_queue.queued, 0, __ATOMIC_RELEASE);
    return task;
}

/* A stolen task runs as if it were of the CPU's own epoch. */
static void note_stolen(struct heap_queue *own, const struct task *task)
{
    GUARD(lock) held = lock_take(&own->lock);

    own->busy = true;
    own->running = (struct rank){own->epoch, own->queued, run_queue_priority(task)};
}

struct task *run_queue_take(unsigned cpu, struct task *running)
{
    struct task *task = take_from(&heap_queues[cpu], cpu, running);

    for (unsigned i = 1; !task && i < CPU_MAX; i++) {
        if (!run_queue_length((cpu + i) % CPU_MAX))
            continue;
        task = take_from(&heap_queues[(cpu + i) % CPU_MAX], cpu, running);
        if (task)
            note_stolen(&heap_queues[cpu], task);
    }
    return task;
}

size_t run_queue_length(unsigned cpu)
{
    return __atomic_load_n(&heap_queues[cpu].length, __ATOMIC_RELAXED);
}

void run_queue_open(unsigned cpu)
{
    heap_queues[cpu].open = true;
    heap_queues[cpu].busy = true;
}

UNCHECKED void run_queue_empty(void)
{
    for (unsigned cpu = 0; cpu < CPU_MAX; cpu++) {
        heap_queues[cpu].lock = (struct lock){}; /* nobody holds it */
        heap_queues[cpu].length = 0;
        heap_queues[cpu].open = cpu_get(cpu) && cpu_get(cpu)->task;
        heap_queues[cpu].busy = false; /* so that each CPU is told of the tasks that it gets */
    }
}

/* ---- from another version ---- */

static void requeue(struct task *task, void *)
{
    uint32_t cpu = task->pinned ? task->pinned - 1 : task->run_queue.cpu;
    struct heap_queue *queue = &heap_queues[cpu % CPU_MAX];

    if (!task->run_queue.queued)
        return;
    GUARD(lock) held = lock_take(&queue->lock);
    insert(queue, cpu % CPU_MAX, task);
}

/* Builds the queues from what tasks and CPUs say of themselves, since another version's queues may look different. */
static enum err run_queue_transfer(const struct cell_transfer *)
{
    run_queue_empty();
    for (unsigned cpu = 0; cpu < CPU_MAX; cpu++) {
        const struct task *task = cpu_get(cpu) ? cpu_get(cpu)->task : NULL;
        heap_queues[cpu].open = task;
        heap_queues[cpu].busy = task && !(task->immortal && task->pinned);
    }
    task_each(requeue, NULL);
    return ERR_OK;
}
TRANSFER(run_queue_transfer);
