/* See scheduler.h: tasks take turns, whichever was queued first. */
#include "cells/kernel/scheduler/ready.h"
#include "cells/kernel/run_queue/run_queue.h"
#include "cells/kernel/scheduler/scheduler.h"
#include "cells/kernel/task/task.h"

CELL("scheduler", KERNEL, 1);
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
