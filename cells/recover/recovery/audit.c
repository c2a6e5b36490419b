/* See audit.h. All other CPUs are parked meanwhile, so that no task is between two queues. */
#include "cells/recover/recovery/audit.h"
#include "cells/core/arena/arena.h"
#include "cells/memory/heap/heap.h"
#include "cells/task/park/park.h"
#include "cells/task/scheduler/scheduler.h"
#include "cells/task/task/task.h"
#include "cells/task/wait_queue/wait_queue.h"

static uint64_t audited; /* the newest fault at the last audit; two CPUs that audit at once do no harm */

static void empty_queue(struct task *task, void *)
{
    wait_queue_empty_of(task);
}

static void enter_queue(struct task *task, void *)
{
    wait_queue_enter_again(task);
}

void audit_all(void)
{
    uint64_t newest = __atomic_load_n(&arena_header()->fault_seq, __ATOMIC_RELAXED);

    if (newest == audited)
        return;
    GUARD(park) parked = park_all();
    audited = newest;
    scheduler_rebuild();
    task_each(empty_queue, NULL);
    task_each(enter_queue, NULL);
    heap_rebuild();
}
