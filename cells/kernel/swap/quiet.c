/* See quiet.h. */
#include "cells/kernel/swap/quiet.h"
#include "cells/kernel/arena/arena.h"
#include "cells/kernel/roll_back/roll_back.h"
#include "cells/kernel/swap/door.h"
#include "cells/kernel/swap/scan.h"
#include "cells/kernel/task/task.h"
#include "cells/lib/format/format.h"

struct look {
    const struct plan *plan;
    struct loader_detail *detail;
    uint64_t own_rsp;
    bool inside;
};

static bool leaves(uint32_t cell, void *plan)
{
    return plan_is_old(plan, cell);
}

static void say(const struct look *look, const struct task *task, uint64_t rip, const char *why)
{
    char function[64];

    arena_name_at(rip, function, sizeof function);
    format_print(look->detail->text, sizeof look->detail->text, "types change, and task %.32s is in %s%s",
                 task->record->name, function, why);
}

static void look_at(struct task *task, void *context)
{
    struct look *look = context;
    uint64_t rip, function;

    if (!scan_task_stuck(look->plan, task, look->own_rsp, &rip))
        return;
    enum err e = roll_back_task(task, leaves, (void *)look->plan, &function);
    if (e == ERR_INVALID)
        say(look, task, function, ", which cannot be begun anew");
    else if (!look->inside)
        say(look, task, rip, "");
    look->inside = true;
}

bool quiet_reached(const struct plan *plan, struct loader_detail *detail)
{
    struct look look = {.plan = plan, .detail = detail, .own_rsp = (uint64_t)__builtin_frame_address(0)};

    task_each(look_at, &look);
    return !look.inside && !door_is_crossed(look.own_rsp);
}
