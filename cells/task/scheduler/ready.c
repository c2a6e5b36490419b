/* Version 1 of the scheduler: ready tasks run in the order in which they were queued. The rest is in scheduler.c,
 * which every version of the cell has. */
#include "cells/task/scheduler/ready.h"
#include "cells/task/run_queue/run_queue.h"
#include "cells/task/scheduler/scheduler.h"
#include "cells/task/task/task.h"

CELL("scheduler", KERNEL, 1);
FOUNDATION();
EXPORT(scheduler_ready, KERNEL);

void scheduler_ready(struct task *task)
{
    GUARD(interrupts) off = interrupts_off();
    unsigned place = run_queue_place(task);

    task->record->state = TASK_RUNNABLE;
    if (run_queue_put(place, task))
        scheduler_kick(place);
    if (cpu_this()->interrupt_depth)
        cpu_this()->reschedule = 1;
}
