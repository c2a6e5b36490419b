/* See quiescence.h. Gets tasks out of old code. Walking a stack takes long, so what was found of a task is kept for as
 * long as it has not run. */
#include "cells/evolve/quiescence/quiescence.h"
#include "cells/core/arena/arena.h"
#include "cells/core/cpu/cpu.h"
#include "cells/evolve/quiescence/gate.h"
#include "cells/evolve/quiescence/stack.h"
#include "cells/evolve/roll_back/roll_back.h"
#include "cells/lib/string/string.h"
#include "cells/task/task/task.h"

CELL("quiescence", KERNEL, 1);
TYPED(roll_back_wait);
FOUNDATION();
EXPORT(quiescence_begin, KERNEL);
EXPORT(quiescence_check, KERNEL);

/* What was found of a task when it had been switched to so many times. By index. */
static struct finding {
    uint64_t switches, rip;
    uint32_t id; /* 0: nothing is known, or it may have run since */
    bool stuck, sent_back;
} findings[ARENA_TASKS_MAX] GUARDED_BY(loader_lock);

void quiescence_begin(void)
{
    memset(findings, 0, sizeof findings);
}

static bool leaves_cell(struct cell_ref cell, void *plan)
{
    return plan_is_old(plan, cell);
}

static void report_inside(const struct task *task, uint64_t rip, const char *why, struct report *report)
{
    char function[64];

    arena_name_at(rip, function, sizeof function);
    (void)report_refuse(report, ERR_TIMEOUT, "types change, and task %s is in %s%s", task->record->name, function, why);
}

/* A task that does not run has left its stack as it was. */
static bool is_task_known(const struct task *task) NEEDS(loader_lock)
{
    const struct finding *finding = &findings[task->ref.index];

    return finding->id == task->id && finding->switches == task->record->switches &&
           !__atomic_load_n(&task->on_cpu, __ATOMIC_ACQUIRE);
}

static void walk_frames(const struct plan *plan, const struct stack_references *found, const struct task *task,
                        const uint64_t *highest) NEEDS(loader_lock)
{
    struct finding *finding = &findings[task->ref.index];

    *finding = (struct finding){.switches = task->record->switches, .id = task->id};
    finding->stuck = stack_is_stuck(plan, found, task, highest, &finding->rip);
    if (__atomic_load_n(&task->on_cpu, __ATOMIC_ACQUIRE))
        finding->id = 0; /* it will run */
}

static void send_back(const struct plan *plan, struct task *task, const uint64_t *highest, struct report *report)
    NEEDS(loader_lock)
{
    struct finding *finding = &findings[task->ref.index];
    uint64_t function;
    enum roll_back back = roll_back_task(task, (uint64_t)(highest + 1), leaves_cell, (void *)plan, &function);

    finding->sent_back = true;
    if (back == ROLL_BACK_NOT_REPEATABLE)
        report_inside(task, function, ", which is not repeatable", report);
    else
        report_inside(task, finding->rip, "", report);
}

/* Walks the task's frames, or sends it back, each as long as there is time. False: there was none. */
static bool check_task(const struct plan *plan, const struct stack_references *found, struct task *task,
                       const uint64_t *highest, uint64_t until_ns, struct report *report) NEEDS(loader_lock)
{
    const struct finding *finding = &findings[task->ref.index];

    if (!is_task_known(task)) {
        if (cpu_ns() >= until_ns)
            return false;
        walk_frames(plan, found, task, highest);
    }
    if (!finding->stuck || finding->sent_back || task == task_this())
        return true;
    if (finding->id && cpu_ns() >= until_ns) /* a task that runs is not walked again */
        return false;
    send_back(plan, task, highest, report);
    return true;
}

enum quiescence quiescence_check(const struct plan *plan, const struct stack_references *found, uint64_t walk_ns,
                                 struct report *report)
{
    uint64_t until_ns = cpu_ns() + walk_ns;
    bool inside = gate_is_crossed(found), unknown = false;
    const uint64_t *highest;
    struct task *task;

    for (size_t at = 0; (task = stack_next(plan, found, &at, &highest));) {
        if (!highest)
            continue;
        unknown |= !check_task(plan, found, task, highest, until_ns, report);
        const struct finding *finding = &findings[task->ref.index];
        inside |= finding->stuck;
        if (finding->stuck && task == task_this()) {
            report_inside(task, finding->rip, ", from where it swaps", report);
            return QUIESCENCE_NEVER;
        }
    }
    return unknown ? QUIESCENCE_UNKNOWN : inside ? QUIESCENCE_INSIDE : QUIESCENCE_REACHED;
}
