/* See stack.h. Most words are told apart by one comparison, and each is looked at once while the others stand still; frames
 * are walked only where a word may be the return address of one that matters, and no further up than that. */
#include "cells/kernel/swap/stack.h"
#include "cells/kernel/arena/arena.h"
#include "cells/kernel/cpu/cpu.h"
#include "cells/kernel/task/task.h"
#include "cells/kernel/unwind/unwind.h"

/* Where the CPU has put the registers of what the park interrupt came upon. */
static uint64_t frame_below(uint64_t interrupted_rsp)
{
    return (interrupted_rsp & ~15ul) - sizeof(struct trap_frame);
}

static const struct cpu *cpu_running(const struct task *task)
{
    for (unsigned i = 0; i < cpu_count(); i++)
        if (cpu_get(i) && cpu_get(i)->task == task)
            return cpu_get(i);
    return NULL;
}

/* The part of the task's stack that is in use. */
static bool live_stack(const struct task *task, uint64_t own_rsp, uint64_t *ret_low, uint64_t *ret_high)
{
    const struct cpu *cpu = cpu_running(task);
    uint64_t low, high, rsp = task->rsp;

    if (!unwind_stack(task, &low, &high))
        return false;
    if (cpu == cpu_this())
        rsp = own_rsp;
    else if (cpu)
        rsp = cpu->parked_rsp;
    *ret_low = rsp >= low && rsp < high ? rsp & ~7ul : low;
    *ret_high = high;
    return true;
}

/* ---- one look ---- */

static void look_at(struct plan *plan, struct task *task, uint64_t low, uint64_t high)
{
    uint64_t start = plan->low, bytes = plan->high - plan->low;

    for (uint64_t *word = (uint64_t *)(low & ~7ul); word < (uint64_t *)high; word++) {
        if (*word - start >= bytes || !plan_in_regions(plan, *word))
            continue;
        if (plan->hits < plan->words_max)
            plan->hit[plan->hits++] = (struct hit){word, task};
        else
            plan->words_lost = true;
    }
}

struct look {
    struct plan *plan;
    const struct reach *reach;
    uint64_t own_rsp;
};

static void look_at_task(struct task *task, void *context)
{
    struct look *look = context;
    uint64_t low, high;

    if ((look->reach && !reach_task(look->reach, task)) || !live_stack(task, look->own_rsp, &low, &high))
        return;
    look->plan->tasks++;
    look_at(look->plan, task, low, high);
}

/* Where a CPU was parked on the way out of an exception. */
static void look_at_fault_stacks(struct plan *plan)
{
    for (unsigned i = 0; i < cpu_count(); i++) {
        const struct cpu *cpu = cpu_get(i);
        uint64_t low = cpu->parked_rsp, high = (uint64_t)cpu->fault_stack_top;
        if (cpu != cpu_this() && low >= (uint64_t)cpu->fault_stack_low && low < high)
            look_at(plan, NULL, low, high);
    }
}

bool stack_look(struct plan *plan, const struct reach *reach, uint64_t own_rsp)
{
    struct look look = {plan, reach, own_rsp};

    plan->hits = plan->tasks = 0;
    plan->own_rsp = own_rsp;
    look_at_fault_stacks(plan);
    task_each(look_at_task, &look);
    return !plan->words_lost;
}

bool stack_look_own(struct plan *plan, uint64_t own_rsp)
{
    look_at(plan, task_this(), own_rsp, plan->own_rsp);
    return !plan->words_lost;
}

uint64_t stack_add_words(struct plan *plan)
{
    uint64_t inside = 0;

    for (size_t i = 0; i < plan->hits; i++) {
        uint64_t *at = plan->hit[i].at, to = plan_map(plan, *at);
        inside += plan_in_old_text(plan, *at);
        if (to)
            plan_add_word(plan, at, *at, to);
    }
    return inside;
}

bool stack_says(const struct plan *plan, uint64_t low, uint64_t high)
{
    for (size_t i = 0; i < plan->hits; i++)
        if (*plan->hit[i].at - low < high - low)
            return true;
    return false;
}

/* ---- frames ---- */

struct hold {
    const struct plan *plan;
    uint64_t own_rsp, highest; /* no frame is looked at whose return address lies above that */
    bool stuck_only;           /* only frames count that cannot move to the new cells */
    bool found;
    uint64_t rip; /* of the frame that was found */
};

/* The call that returns to `address`, if that one lies in an old cell. */
static uint64_t call_before(const struct plan *plan, uint64_t address)
{
    return plan_in_old_text(plan, address - 1) ? address - 1 : address;
}

static bool visit_frame(const struct unwind_frame *frame, void *context)
{
    struct hold *hold = context;
    uint64_t in = call_before(hold->plan, frame->rip);

    if (plan_in_old_text(hold->plan, in) && !(hold->stuck_only && plan_map(hold->plan, in))) {
        hold->found = true;
        hold->rip = frame->rip;
    }
    return !hold->found && frame->rsp <= hold->highest;
}

/* Walks the frames of a task that runs nowhere, or of one that was parked. */
static void walk_task(const struct task *task, const struct cpu *cpu, uint64_t low, uint64_t high, struct hold *hold)
{
    struct trap_frame frame;

    if (!cpu)
        task_frame(task, &frame);
    else if (!cpu->record)
        hold->found = true;
    else
        frame = *(const struct trap_frame *)frame_below(cpu->record->current_rsp);
    if (!hold->found)
        unwind_walk(&frame, low, high, visit_frame, hold);
}

static void walk_self(const struct task *task, struct hold *hold)
{
    struct trap_frame frame = {.rbp = (uint64_t)__builtin_frame_address(0)};
    uint64_t low, high;

    if (!unwind_stack(task, &low, &high))
        return;
    __asm__ volatile("lea 0(%%rip), %0; mov %%rsp, %1" : "=r"(frame.rip), "=r"(frame.rsp));
    unwind_walk(&frame, low, high, visit_frame, hold);
}

static void hold_frames(const struct task *task, struct hold *hold)
{
    const struct cpu *cpu = cpu_running(task);
    uint64_t low, high;

    if (cpu == cpu_this())
        walk_self(task, hold);
    else if (live_stack(task, hold->own_rsp, &low, &high))
        walk_task(task, cpu, low, high, hold);
}

/* A word within a function counts only when it is a frame's return address: others are left over from calls that have ended,
 * in parts of frames that were never written. */
static bool is_within(const struct plan *plan, uint64_t word)
{
    return plan_in_old_text(plan, word) && !plan_is_start(plan, word);
}

struct task *stack_next(const struct plan *plan, size_t *at, const uint64_t **ret_stuck)
{
    struct task *task = NULL;

    *ret_stuck = NULL;
    while (*at < plan->hits && !(task = plan->hit[*at].task))
        ++*at;
    for (; task && *at < plan->hits && plan->hit[*at].task == task; ++*at) {
        const uint64_t *word = plan->hit[*at].at;
        if (is_within(plan, *word) && !plan_map(plan, call_before(plan, *word)))
            *ret_stuck = word;
    }
    return task;
}

bool stack_is_stuck(const struct plan *plan, const struct task *task, const uint64_t *highest, uint64_t *ret_rip)
{
    struct hold hold = {.plan = plan, .own_rsp = plan->own_rsp, .highest = (uint64_t)(highest + 1), .stuck_only = true};

    hold_frames(task, &hold);
    if (hold.found)
        *ret_rip = hold.rip;
    return hold.found;
}

static void hold_stack(struct task *task, void *context)
{
    struct hold *hold = context;
    uint64_t low, high;

    if (hold->found || !live_stack(task, hold->own_rsp, &low, &high))
        return;
    hold->highest = 0;
    for (const uint64_t *word = (const uint64_t *)low; word < (const uint64_t *)high && !hold->found; word++) {
        if (!plan_in_old(hold->plan, *word))
            continue;
        if (is_within(hold->plan, *word))
            hold->highest = (uint64_t)(word + 1);
        else
            hold->found = true;
    }
    if (!hold->found && hold->highest)
        hold_frames(task, hold);
}

bool stack_holds(const struct plan *plan, uint64_t own_rsp)
{
    struct hold hold = {.plan = plan, .own_rsp = own_rsp};

    task_each(hold_stack, &hold);
    return hold.found;
}
