/* See quiescence.h. Each word is compared once while the other CPUs are parked; frames are walked only where a word may
 * be the return address of one that matters, and no further up than that. */
#include "cells/evolve/quiescence/stack.h"
#include "cells/core/arena/arena.h"
#include "cells/core/cpu/cpu.h"
#include "cells/recover/unwind/unwind.h"
#include "cells/task/park/park.h"
#include "cells/task/task/task.h"

EXPORT(stack_scan, KERNEL);
EXPORT(stack_scan_own, KERNEL);
EXPORT(stack_is_referenced, KERNEL);

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

/* ---- the scan ---- */

static void scan_range(const struct plan *plan, struct task *task, uint64_t low, uint64_t high,
                       struct stack_references *found)
{
    uint64_t start = plan->low, bytes = plan->high - plan->low;

    for (uint64_t *word = (uint64_t *)(low & ~7ul); word < (uint64_t *)high; word++) {
        if (*word - start >= bytes || !plan_in_regions(plan, *word))
            continue;
        if (found->count < found->room)
            found->reference[found->count++] = (struct stack_reference){word, task};
        else
            found->lost = true;
    }
}

struct scan {
    const struct plan *plan;
    const struct reach *reach;
    struct stack_references *found;
};

static void scan_task(struct task *task, void *context)
{
    const struct scan *scan = context;
    uint64_t low, high;

    if ((scan->reach && !reach_has_task(scan->reach, task)) || !live_stack(task, scan->found->own_rsp, &low, &high))
        return;
    scan->found->tasks++;
    scan_range(scan->plan, task, low, high, scan->found);
}

/* Where a CPU was parked on the way out of an exception. */
static void scan_fault_stacks(const struct plan *plan, struct stack_references *found)
{
    for (unsigned i = 0; i < cpu_count(); i++) {
        const struct cpu *cpu = cpu_get(i);
        uint64_t low = cpu->parked_rsp, high = (uint64_t)cpu->fault_stack_top;
        if (cpu != cpu_this() && low >= (uint64_t)cpu->fault_stack_low && low < high)
            scan_range(plan, NULL, low, high, found);
    }
}

void stack_scan(const struct plan *plan, const struct reach *reach, uint64_t own_rsp, struct stack_references *found)
{
    struct scan scan = {plan, reach, found};

    found->count = found->tasks = 0;
    found->lost = false;
    found->own_rsp = own_rsp;
    scan_fault_stacks(plan, found);
    task_each(scan_task, &scan);
}

void stack_scan_own(const struct plan *plan, uint64_t own_rsp, struct stack_references *found)
{
    scan_range(plan, task_this(), own_rsp, found->own_rsp, found);
}

bool stack_has_reference(const struct stack_references *found, uint64_t low, uint64_t high)
{
    for (size_t i = 0; i < found->count; i++)
        if (*found->reference[i].at - low < high - low)
            return true;
    return false;
}

/* ---- frames ---- */

/* For frames that return into old cells. */
struct frame_search {
    const struct plan *plan;
    uint64_t own_rsp;
    uint64_t highest; /* frames whose return address is above it are not searched */
    bool stuck_only;  /* only frames count that cannot be resumed in the new cells */
    bool found;
    uint64_t rip; /* of the frame that was found */
};

/* The call that returns to `address`, if that call is in an old cell. */
static uint64_t call_before(const struct plan *plan, uint64_t address)
{
    return plan_in_old_text(plan, address - 1) ? address - 1 : address;
}

static bool search_frame(const struct unwind_frame *frame, void *context)
{
    struct frame_search *search = context;
    uint64_t in = call_before(search->plan, frame->rip);

    if (plan_in_old_text(search->plan, in) && !(search->stuck_only && plan_map(search->plan, in))) {
        search->found = true;
        search->rip = frame->rip;
    }
    return !search->found && frame->rsp <= search->highest;
}

/* Of a task that does not run, or of one that was parked on `cpu`. */
static void search_other(const struct task *task, const struct cpu *cpu, struct frame_search *search)
{
    struct trap_frame frame;
    uint64_t low, high;

    if (!live_stack(task, search->own_rsp, &low, &high))
        return;
    if (!cpu)
        task_frame(task, &frame);
    else if (!cpu->record)
        search->found = true;
    else
        frame = *park_frame(cpu);
    if (!search->found)
        unwind_walk(&frame, low, high, search_frame, search);
}

static void search_own(const struct task *task, struct frame_search *search)
{
    struct trap_frame frame = {.rbp = (uint64_t)__builtin_frame_address(0)};
    uint64_t low, high;

    if (!unwind_stack(task, &low, &high))
        return;
    __asm__ volatile("lea 0(%%rip), %0; mov %%rsp, %1" : "=r"(frame.rip), "=r"(frame.rsp));
    unwind_walk(&frame, low, high, search_frame, search);
}

static void search_frames(const struct task *task, struct frame_search *search)
{
    const struct cpu *cpu = cpu_running(task);

    if (cpu == cpu_this())
        search_own(task, search);
    else
        search_other(task, cpu, search);
}

/* A word within a function counts only when it is a frame's return address: others are left over from calls that have
 * ended, in parts of frames that were never written. */
static bool is_within(const struct plan *plan, uint64_t word)
{
    return plan_in_old_text(plan, word) && !plan_is_start(plan, word);
}

struct task *stack_next(const struct plan *plan, const struct stack_references *found, size_t *at,
                        const uint64_t **ret_stuck)
{
    struct task *task = NULL;

    *ret_stuck = NULL;
    while (*at < found->count && !(task = found->reference[*at].task))
        ++*at;
    for (; task && *at < found->count && found->reference[*at].task == task; ++*at) {
        const uint64_t *word = found->reference[*at].at;
        if (is_within(plan, *word) && !plan_map(plan, call_before(plan, *word)))
            *ret_stuck = word;
    }
    return task;
}

bool stack_is_stuck(const struct plan *plan, const struct stack_references *found, const struct task *task,
                    const uint64_t *highest, uint64_t *ret_rip)
{
    struct frame_search search = {
        .plan = plan, .own_rsp = found->own_rsp, .highest = (uint64_t)(highest + 1), .stuck_only = true};

    search_frames(task, &search);
    if (search.found)
        *ret_rip = search.rip;
    return search.found;
}

static void search_stack(struct task *task, void *context)
{
    struct frame_search *search = context;
    uint64_t low, high;

    if (search->found || !live_stack(task, search->own_rsp, &low, &high))
        return;
    search->highest = 0;
    for (const uint64_t *word = (const uint64_t *)low; word < (const uint64_t *)high && !search->found; word++) {
        if (!plan_in_old(search->plan, *word))
            continue;
        if (is_within(search->plan, *word))
            search->highest = (uint64_t)(word + 1);
        else
            search->found = true;
    }
    if (!search->found && search->highest)
        search_frames(task, search);
}

bool stack_is_referenced(const struct plan *plan, uint64_t own_rsp)
{
    struct frame_search search = {.plan = plan, .own_rsp = own_rsp};

    task_each(search_stack, &search);
    return search.found;
}
