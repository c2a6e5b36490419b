/* What swaps and namespaces stand on beside stand_in.c: one CPU without tasks. Nothing is to be parked, no stack is there to
 * be looked at, and memory refers to a cell when stand_in.held says so. */
#include "cells/kernel/cpu/cpu.h"
#include "cells/kernel/exception/exception.h"
#include "cells/kernel/log/log.h"
#include "cells/kernel/mend/mend.h"
#include "cells/kernel/park/park.h"
#include "cells/kernel/roll_back/roll_back.h"
#include "cells/kernel/scheduler/scheduler.h"
#include "cells/kernel/simd/simd.h"
#include "cells/kernel/swap/door.h"
#include "cells/kernel/swap/quiet.h"
#include "cells/kernel/swap/scan.h"
#include "cells/kernel/swap/stack.h"
#include "tests/hosted/stand_in.h"

unsigned cpu_count(void)
{
    return 1;
}

bool simd_works(void)
{
    return true;
}

struct task *task_this(void)
{
    return NULL;
}

void exception_dispatch(struct trap_frame *)
{
}

void exception_point_gates(void)
{
}

bool mend_is_core(uint32_t cell)
{
    return arena_in_image(arena_cell(cell));
}

void log_warn(const char *, ...)
{
}

struct park_guard park_all(void)
{
    return (struct park_guard){.started_ns = cpu_ns()};
}

void park_guard_end(struct park_guard *)
{
}

struct roll_back_guard roll_back_hold(void)
{
    return (struct roll_back_guard){.held = true};
}

void roll_back_guard_end(struct roll_back_guard *guard)
{
    guard->held = false;
}

void scheduler_sleep_ns(uint64_t)
{
}

void quiet_begin(void)
{
}

enum quiet quiet_look(const struct plan *, uint64_t, struct loader_detail *)
{
    return QUIET_REACHED;
}

void door_close_all(const struct plan *)
{
}

void door_open_all(void)
{
}

bool door_any(void)
{
    return false;
}

bool stack_look(struct plan *, const struct reach *, uint64_t)
{
    return true;
}

bool stack_look_own(struct plan *, uint64_t)
{
    return true;
}

uint64_t stack_add_words(struct plan *)
{
    return 0;
}

void scan_memory(struct plan *)
{
}

bool stack_holds(const struct plan *, uint64_t)
{
    return stand_in.held;
}

bool scan_memory_holds(const struct plan *)
{
    return stand_in.held;
}

void scan_tasks_move(const struct plan *, bool)
{
}

bool scan_tasks_hold(const struct plan *)
{
    return stand_in.held;
}
