/* See scheduler_v2.h. A task that becomes ready preempts one of lower rank. */
#include "cells/task/scheduler_v2/scheduler_v2.h"
#include "cells/task/run_queue_v2/run_queue_v2.h"
#include "cells/task/scheduler/ready.h"
#include "cells/task/scheduler/scheduler.h"
#include "cells/task/task/task.h"

CELL("scheduler", KERNEL, 2);
FOUNDATION();
EXPORT(scheduler_ready, KERNEL);
EXPORT(scheduler_set_priority, APPLICATION);
EXPORT(scheduler_priority, APPLICATION);

void scheduler_ready(struct task *task)
{
    GUARD(interrupts) off = interrupts_off();
    unsigned place;

    task->record->state = TASK_RUNNABLE;
    if (run_queue_add(task, &place))
        scheduler_kick(place);
    if (cpu_this()->interrupt_depth)
        cpu_this()->reschedule = 1;
}

enum err scheduler_set_priority(const struct task *task, unsigned priority)
{
    if (priority < 1 || priority > SCHEDULER_PRIORITY_MAX)
        return ERR_RANGE;
    run_queue_set_priority(task, priority);
    return ERR_OK;
}

unsigned scheduler_priority(const struct task *task)
{
    return run_queue_priority(task);
}
