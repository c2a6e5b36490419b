/* What swaps and namespaces need beside stand_in.c: one CPU without tasks. No CPU is to be parked, no stack
 * to be scanned, and memory refers to a cell when stand_in.held says so. */
#include "cells/core/cpu/cpu.h"
#include "cells/core/exception/exception.h"
#include "cells/evolve/roll_back/roll_back.h"
#include "cells/evolve/quiescence/quiescence.h"
#include "cells/evolve/swap/scan.h"
#include "cells/host/log/log.h"
#include "cells/recover/fault/fault.h"
#include "cells/recover/mend/mend.h"
#include "cells/task/deadline/deadline.h"
#include "cells/task/park/park.h"
#include "cells/task/scheduler/scheduler.h"
#include "cells/task/simd/simd.h"
#include "guest/abi/note.h"
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

bool mend_is_core(struct cell_ref cell)
{
    return arena_cell(cell)->flags & NOTE_CORE;
}

bool mend_is_needed(struct cell_ref cell)
{
    return arena_cell(cell)->flags & (NOTE_CORE | NOTE_FOUNDATION);
}

bool mend_is_damaged(struct section_ref)
{
    return false;
}

bool mend_section(struct section_ref, struct mend_found *)
{
    return true;
}

void log_warn(const char *, ...)
{
}

struct park_guard park_all(void)
{
    if (stand_in.parked)
        stand_in.parked();
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

void scheduler_yield(void)
{
}

void quiescence_begin(void)
{
}

enum quiescence quiescence_check(const struct plan *, const struct stack_references *, uint64_t, struct report *)
{
    return QUIESCENCE_REACHED;
}

void gate_close_all(const struct plan *, const struct stack_references *)
{
}

void gate_open_all(void)
{
}

bool gate_is_any_closed(void)
{
    return false;
}

void stack_scan(const struct plan *, const struct reach *, uint64_t, struct stack_references *)
{
}

void stack_scan_own(const struct plan *, uint64_t, struct stack_references *)
{
}

void scan_memory(const struct plan *, struct words *, const struct mapped_pages *)
{
}

bool stack_is_referenced(const struct plan *, uint64_t)
{
    return stand_in.held;
}

bool scan_memory_refers(const struct plan *)
{
    return stand_in.held;
}

void scan_tasks_redirect(const struct plan *, bool)
{
}

bool scan_tasks_refer(const struct plan *)
{
    stand_in.searches++;
    return stand_in.held;
}

struct deadline_guard deadline_begin(struct cell_ref, const char *, uint32_t)
{
    return (struct deadline_guard){};
}

void deadline_guard_end(struct deadline_guard *)
{
}

const struct arena_fault *fault_of_task(const struct task *, uint64_t)
{
    return NULL;
}

enum err fault_report(const struct arena_fault *, const char *, struct report *report)
{
    return report->error = ERR_INIT_FAILED;
}
