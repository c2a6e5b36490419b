/* See quiet.h. */
#include "cells/kernel/swap/quiet.h"
#include "cells/kernel/arena/arena.h"
#include "cells/kernel/cpu/cpu.h"
#include "cells/kernel/roll_back/roll_back.h"
#include "cells/kernel/swap/door.h"
#include "cells/kernel/swap/stack.h"
#include "cells/kernel/task/task.h"
#include "cells/lib/format/format.h"
#include "cells/lib/string/string.h"

/* What was found of a task when it had been switched to so many times. By index; under the loader's turn. */
static struct found {
    uint64_t switches, rip;
    uint32_t id;
    bool stuck, sent;
} founds[ARENA_TASKS_MAX];

void quiet_begin(void)
{
    memset(founds, 0, sizeof founds);
}

static bool leaves(uint32_t cell, void *plan)
{
    return plan_is_old(plan, cell);
}

static void say(const struct task *task, uint64_t rip, const char *why, struct loader_detail *detail)
{
    char function[64];

    arena_name_at(rip, function, sizeof function);
    format_print(detail->text, sizeof detail->text, "types change, and task %.32s is in %s%s", task->record->name,
                 function, why);
}

/* False: nothing is known, or it may have run since. A task that does not run now has left its stack as it was then. */
static bool is_known(const struct task *task)
{
    const struct found *found = &founds[task->index];

    return found->id == task->id && found->switches == task->record->switches &&
           !__atomic_load_n(&task->on_cpu, __ATOMIC_ACQUIRE);
}

static void walk(const struct plan *plan, struct task *task, const uint64_t *highest)
{
    struct found *found = &founds[task->index];

    *found = (struct found){.switches = task->record->switches, .id = task->id};
    found->stuck = stack_is_stuck(plan, task, highest, &found->rip);
    if (__atomic_load_n(&task->on_cpu, __ATOMIC_ACQUIRE))
        found->id = 0; /* it goes on */
}

static void send_back(const struct plan *plan, struct task *task, const uint64_t *highest, struct loader_detail *detail)
{
    struct found *found = &founds[task->index];
    uint64_t function;
    enum err e = roll_back_task(task, (uint64_t)(highest + 1), leaves, (void *)plan, &function);

    found->sent = true;
    if (e == ERR_INVALID)
        say(task, function, ", which cannot be begun anew", detail);
    else
        say(task, found->rip, "", detail);
}

/* A walk, or another one, each as long as there is time. False: there was none. */
static bool look_at(const struct plan *plan, struct task *task, const uint64_t *highest, uint64_t until_ns,
                    struct loader_detail *detail)
{
    const struct found *found = &founds[task->index];

    if (!is_known(task)) {
        if (cpu_ns() >= until_ns)
            return false;
        walk(plan, task, highest);
    }
    if (!found->stuck || found->sent)
        return true;
    if (found->id && cpu_ns() >= until_ns) /* who runs is not walked once more */
        return false;
    send_back(plan, task, highest, detail);
    return true;
}

enum quiet quiet_look(const struct plan *plan, uint64_t walk_ns, struct loader_detail *detail)
{
    uint64_t until_ns = cpu_ns() + walk_ns;
    bool inside = door_is_crossed(plan), unknown = false;
    const uint64_t *highest;
    struct task *task;

    for (size_t at = 0; (task = stack_next(plan, &at, &highest));) {
        if (!highest)
            continue;
        unknown |= !look_at(plan, task, highest, until_ns, detail);
        inside |= founds[task->index].stuck;
    }
    return unknown ? QUIET_UNKNOWN : inside ? QUIET_INSIDE : QUIET_REACHED;
}
