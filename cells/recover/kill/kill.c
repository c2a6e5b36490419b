/* See kill.h. Each tick looks at the task that it has interrupted. A breakpoint is set on all CPUs, each of which takes
 * it over at its tick, since the task may go on elsewhere. memory.c chooses which task ends when memory is out. */
#include "cells/recover/kill/kill.h"
#include "cells/recover/kill/inside.h"
#include "cells/core/arena/arena.h"
#include "cells/core/cpu/cpu.h"
#include "cells/core/exception/exception.h"
#include "cells/core/loader/loader.h"
#include "cells/core/report/report.h"
#include "cells/core/vector/vector.h"
#include "cells/recover/unwind/unwind.h"
#include "cells/task/park/park.h"
#include "cells/task/scheduler/scheduler.h"
#include "cells/task/task/task.h"
#include "cells/task/timer/timer.h"

CELL("kill", KERNEL, 1);
FOUNDATION();
EXPORT(kill_all_in, KERNEL);
EXPORT(kill_by_id, KERNEL);
EXPORT(kill_again, KERNEL);

#define RFLAGS_STEP   0x100   /* TF: a debug exception after the next instruction */
#define RFLAGS_RESUME 0x10000 /* RF: the instruction is executed although there is a breakpoint */
#define BREAKPOINTS   4       /* of a CPU; tasks share them by their index */
#define DR6_NONE      0xffff0ff0ull
#define DR7_NONE      0x400ull

static uint64_t breakpoint[BREAKPOINTS]; /* atomic: addresses of instructions; 0: none */
static uint32_t changes;                 /* atomic: of these */
static uint32_t loaded[CPU_MAX];         /* the number of the change that the CPU has taken over; by the CPU */
static uint32_t asks;                    /* atomic: how often a task has been asked to end */
static uint32_t asks_met;                /* atomic: all tasks that so many asked have ended */

/* ---- where a task runs ---- */

static bool is_application(struct cell_ref cell)
{
    return cell.index && (arena_cell(cell)->kind == CELL_APPLICATION || arena_cell(cell)->main_section.index);
}

/* Of a task, for frames in `cell`, or in any application if that is none. */
struct search {
    struct cell_ref cell;
    uint64_t rip; /* of the innermost one; 0: not found */
    size_t asked;
};

static bool is_sought(const struct search *search, struct cell_ref cell)
{
    return search->cell.index ? same(cell, search->cell) : is_application(cell);
}

static bool is_begun_in(const struct search *search, struct task_function function)
{
    return function.section.index && is_sought(search, arena_section(function.section)->cell);
}

static bool visit_frame(const struct unwind_frame *frame, void *context)
{
    struct search *search = context;

    if (is_sought(search, frame->cell))
        search->rip = frame->rip;
    return !search->rip;
}

static void search_from(const struct task *task, const struct trap_frame *frame, struct search *search)
{
    uint64_t low, high;

    search->rip = 0;
    if (unwind_stack(task, &low, &high))
        unwind_walk(frame, low, high, visit_frame, search);
}

static void search_own(struct search *search)
{
    struct trap_frame frame = {.rbp = (uint64_t)__builtin_frame_address(0)};

    __asm__ volatile("lea 0(%%rip), %0; mov %%rsp, %1" : "=r"(frame.rip), "=r"(frame.rsp));
    search_from(task_this(), &frame, search);
}

/* Other CPUs parked. */
static void search_frames(const struct task *task, struct search *search)
{
    const struct cpu *cpu = cpu_running(task);
    struct trap_frame frame;

    search->rip = 0;
    if (cpu == cpu_this())
        return search_own(search);
    if (!cpu)
        task_frame(task, &frame);
    else if (cpu->record)
        frame = *park_frame(cpu);
    else
        return;
    search_from(task, &frame, search);
}

/* ---- breakpoints ---- */

static void load_breakpoints(void)
{
    uint32_t *mine = &loaded[cpu_this()->index], now = __atomic_load_n(&changes, __ATOMIC_ACQUIRE);
    uint64_t control = DR7_NONE;

    if (*mine == now)
        return;
    *mine = now;
    for (unsigned i = 0; i < BREAKPOINTS; i++)
        control |= __atomic_load_n(&breakpoint[i], __ATOMIC_RELAXED) ? 2ull << 2 * i : 0;
    __asm__ volatile(
        "mov %0, %%dr7; mov %1, %%dr0; mov %2, %%dr1; mov %3, %%dr2; mov %4, %%dr3; mov %5, %%dr7" ::"r"(DR7_NONE),
        "r"(breakpoint[0]), "r"(breakpoint[1]), "r"(breakpoint[2]), "r"(breakpoint[3]), "r"(control));
}

static void set_breakpoint(struct task_ref task, uint64_t address)
{
    if (__atomic_exchange_n(&breakpoint[task.index % BREAKPOINTS], address, __ATOMIC_RELAXED) != address)
        __atomic_add_fetch(&changes, 1, __ATOMIC_RELEASE);
    load_breakpoints();
}

/* ---- a task that runs ---- */

static bool may_end(const struct cpu *cpu, const struct trap_frame *frame)
{
    const struct task *task = cpu->task;
    uint64_t low, high;

    return task && kill_is_asked(task) && cpu->interrupt_depth == 1 && !cpu->lock_depth && !unwind_is_active(task) &&
           !loader_is_held_by(task) && unwind_stack(task, &low, &high) && frame->rsp - low <= high - low;
}

static void on_tick(struct trap_frame *frame)
{
    const struct cpu *cpu = cpu_this();
    struct search search = {};

    load_breakpoints();
    if (!may_end(cpu, frame))
        return;
    search_from(cpu->task, frame, &search);
    if (search.rip == frame->rip)
        frame->rflags |= RFLAGS_STEP;
    else if (search.rip)
        set_breakpoint(cpu->task->ref, search.rip);
}

/* Whether the task is to be unwound from here: the longer there has been no better place, the worse a one will do. */
static bool is_end(struct task *task, const struct trap_frame *frame)
{
    static const uint32_t steps[] = {
        [UNWIND_POINT_ANY] = 4000, [UNWIND_POINT_CALL] = 400, [UNWIND_POINT_PAD] = 200, [UNWIND_POINT_EXACT] = 0};

    return task->kill.steps++ >= steps[unwind_point(task, frame)];
}

/* On the fault stack, at a breakpoint or after one instruction. */
static void on_debug(struct trap_frame *frame)
{
    const struct cpu *cpu = cpu_this();
    struct search search = {};

    __asm__ volatile("mov %0, %%dr6" ::"r"(DR6_NONE));
    frame->rflags = (frame->rflags & ~(uint64_t)RFLAGS_STEP) | RFLAGS_RESUME;
    if (!may_end(cpu, frame))
        return;
    if (cpu->task->kill.ends_here)
        unwind_task(cpu->task, frame, 0);
    search_from(cpu->task, frame, &search);
    if (search.rip != frame->rip) { /* it has called what is in another cell */
        if (search.rip)
            set_breakpoint(cpu->task->ref, search.rip);
        return;
    }
    if (is_end(cpu->task, frame))
        unwind_task(cpu->task, frame, 0);
    frame->rflags |= RFLAGS_STEP;
}

/* A step of its own, at which on_debug ends it. */
__attribute__((noinline)) void kill_end_here(void)
{
    task_this()->kill.ends_here = true;
    __asm__ volatile("pushfq; orq %0, (%%rsp); popfq; nop" ::"i"(RFLAGS_STEP) : "memory", "cc");
    task_this()->kill.ends_here = false;
}

/* ---- a task that does not ---- */

static void end_sleep(struct task *task)
{
    if (task->record->state != TASK_BLOCKED || __atomic_load_n(&task->on_cpu, __ATOMIC_ACQUIRE) ||
        unwind_is_active(task) || loader_is_held_by(task) || !scheduler_claim_wait(&task->scheduler))
        return;
    if (!__atomic_load_n(&task->on_cpu, __ATOMIC_ACQUIRE))
        unwind_end_sleep(task);
    scheduler_ready(task);
}

/* Tasks that have been asked and have not ended, and how many of them are others. */
struct left {
    size_t tasks, others;
};

static void look_again(struct task *task, void *context)
{
    struct left *left = context;

    if (!kill_is_asked(task) || !task_stack(task))
        return;
    end_sleep(task);
    left->tasks++;
    left->others += task != task_this();
}

static void clear_breakpoints(void)
{
    for (unsigned i = 0; i < BREAKPOINTS; i++)
        __atomic_store_n(&breakpoint[i], 0, __ATOMIC_RELAXED);
    __atomic_add_fetch(&changes, 1, __ATOMIC_RELEASE);
}

size_t kill_again(void)
{
    uint32_t seen = __atomic_load_n(&asks, __ATOMIC_ACQUIRE);
    struct left left = {};

    if (seen == __atomic_load_n(&asks_met, __ATOMIC_ACQUIRE))
        return 0;
    task_each(look_again, &left);
    if (left.tasks)
        return left.others;
    __atomic_store_n(&asks_met, seen, __ATOMIC_RELEASE);
    if (seen == __atomic_load_n(&asks, __ATOMIC_ACQUIRE))
        clear_breakpoints();
    return 0;
}

/* ---- asking ---- */

void kill_ask(struct task *task, enum task_end reason)
{
    __atomic_store_n(&task->record->end_reason, reason, __ATOMIC_RELAXED);
    __atomic_store_n(&task->killed, true, __ATOMIC_SEQ_CST);
    __atomic_add_fetch(&asks, 1, __ATOMIC_RELEASE);
}

/* Whether the task may be ended, and has to do with what is searched for. Other CPUs parked. */
static bool is_inside(const struct task *task, struct search *search)
{
    if (task->immortal || !task_stack(task))
        return false;
    if (!is_begun_in(search, task->functions.entry) && !is_begun_in(search, task->functions.main))
        search_frames(task, search);
    else
        search->rip = 1;
    return search->rip;
}

bool kill_is_in_application(const struct task *task)
{
    struct search search = {};

    return is_inside(task, &search);
}

static void ask_if_inside(struct task *task, void *context)
{
    struct search *search = context;

    if (!is_inside(task, search))
        return;
    kill_ask(task, TASK_END_ASKED);
    search->asked++;
}

size_t kill_all_in(struct cell_ref cell)
{
    struct search search = {.cell = cell};

    {
        GUARD(park) parked = park_all();
        task_each(ask_if_inside, &search);
    }
    (void)kill_again();
    return search.asked;
}

/* Of one task, by its id. */
struct choice {
    uint32_t id;
    bool found;
    struct search search;
};

static void ask_if_chosen(struct task *task, void *context)
{
    struct choice *choice = context;

    if (task->id != choice->id || !task_stack(task))
        return;
    choice->found = true;
    ask_if_inside(task, &choice->search);
}

enum err kill_by_id(uint32_t id, struct report *report)
{
    struct choice choice = {.id = id};

    {
        GUARD(park) parked = park_all();
        task_each(ask_if_chosen, &choice);
    }
    (void)kill_again();
    if (!choice.found)
        return report_refuse(report, ERR_NOT_FOUND, "no task %u", id);
    if (!choice.search.asked)
        return report_refuse(report, ERR_REFUSED, "task %u runs in no application", id);
    return ERR_OK;
}

static enum err kill_init(void)
{
    enum err e = vector_bind(EXCEPTION_DEBUG, on_debug);

    if (!e)
        e = timer_bind_look(on_tick);
    return e ? e : kill_bind_memory();
}
INIT(kill_init);
