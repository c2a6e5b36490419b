/* See audit.h. All other CPUs are parked meanwhile, so that no task is between two queues. */
#include "cells/recover/recovery/audit.h"
#include "cells/core/arena/arena.h"
#include "cells/memory/heap/heap.h"
#include "cells/recover/fault/fault.h"
#include "cells/recover/mend/mend.h"
#include "cells/recover/unwind/unwind.h"
#include "cells/task/park/park.h"
#include "cells/task/scheduler/scheduler.h"
#include "cells/task/task/task.h"
#include "cells/task/wait_queue/wait_queue.h"

#define APART_NS 1000000000 /* faults that come faster are several */

/* The newest fault at the last audit of queues, and of the heap. Two CPUs that audit at once do no harm. */
static uint64_t audited, heap_audited;

static uint64_t newest_fault(void)
{
    return __atomic_load_n(&arena_header()->fault_seq, __ATOMIC_RELAXED);
}

static void empty_queue(struct task *task, void *)
{
    wait_queue_empty_of(task);
}

static void enter_queue(struct task *task, void *)
{
    wait_queue_enter_again(task);
}

/* A task that nobody would wake: the fault has taken it out of its queue, or its time-out away. */
static void wake_lost(struct task *task, void *)
{
    if (audit_is_asleep_for_ever(task) && !wait_queue_has(&task->wait_queue))
        (void)scheduler_wake(task, WAKE_TIMEOUT);
}

/* With the other CPUs parked. */
static void audit_queues(uint64_t newest)
{
    audited = newest;
    scheduler_rebuild();
    task_each(empty_queue, NULL);
    task_each(enter_queue, NULL);
    task_each(wake_lost, NULL);
}

bool audit_is_asleep_for_ever(const struct task *task)
{
    return task->record->state == TASK_BLOCKED && scheduler_is_waiting(&task->scheduler) &&
           !scheduler_time_out(&task->scheduler);
}

bool audit_from_tick(void)
{
    GUARD(park) parked = park_try();

    if (!parked.held)
        return false;
    if (mend_all(NULL, 0))
        unwind_forget();
    audit_queues(newest_fault());
    return true;
}

static void rebuild_heap(uint64_t newest)
{
    heap_audited = newest;
    heap_rebuild();
}

/* Whether the heap had a frame on the stack, or nobody knows. */
static bool is_of_heap(uint64_t seq)
{
    struct cell_ref cells[FAULT_CELLS], heap = arena_cell_at((uint64_t)heap_rebuild);
    unsigned count = fault_cells(seq, cells);

    for (unsigned i = 0; i < count; i++)
        if (same(cells[i], heap))
            return true;
    return count == 0;
}

static bool is_heap_suspect(uint64_t newest)
{
    const struct arena_fault *fault = fault_record(newest), *before = fault_record(newest - 1);

    return newest - heap_audited > 1 || !fault || is_of_heap(newest) ||
           (before && fault->time_ns - before->time_ns < APART_NS);
}

void audit_soon(void)
{
    uint64_t newest = newest_fault();

    if (newest == audited)
        return;
    GUARD(park) parked = park_all();
    audit_queues(newest);
    if (is_heap_suspect(newest))
        rebuild_heap(newest);
}

void audit_heap(void)
{
    uint64_t newest = newest_fault();

    if (newest == heap_audited)
        return;
    GUARD(park) parked = park_all();
    rebuild_heap(newest);
}

void audit_all(void)
{
    uint64_t newest = newest_fault();

    if (newest == audited && newest == heap_audited)
        return;
    GUARD(park) parked = park_all();
    if (newest != audited)
        audit_queues(newest);
    rebuild_heap(newest);
}
