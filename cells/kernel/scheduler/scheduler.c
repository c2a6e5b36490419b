/* See scheduler.h. Which task is next is the run queue's business, where one is queued ready.c's; this file switches, keeps
 * time-outs, and wakes. A task is queued while its stack is still in use, but no other CPU takes it before task_switch has
 * left that stack.
 *
 * Every version of the cell has this file. Tasks sleep in its functions all the time: as long as they do not change, their
 * frames move along in a swap. */
#include "cells/kernel/scheduler/scheduler.h"
#include "cells/kernel/scheduler/ready.h"
#include "cells/kernel/apic/apic.h"
#include "cells/kernel/arena/arena.h"
#include "cells/kernel/exception/exception.h"
#include "cells/kernel/loader/loader.h"
#include "cells/kernel/lock/lock.h"
#include "cells/kernel/page/page.h"
#include "cells/kernel/panic/panic.h"
#include "cells/kernel/run_queue/run_queue.h"
#include "cells/kernel/task/task.h"
#include "cells/kernel/timer/timer.h"
#include "cells/lib/format/format.h"

EXPORT(scheduler_start, KERNEL);
EXPORT(scheduler_yield, APPLICATION);
EXPORT(scheduler_block, KERNEL);
EXPORT(scheduler_sleep_ns, APPLICATION);
EXPORT(scheduler_wake, KERNEL);
EXPORT(scheduler_wait, KERNEL);
EXPORT(scheduler_bind_idle, KERNEL);
EXPORT(scheduler_rebuild, KERNEL);
EXPORT(scheduler_stay, LIBRARY);
EXPORT(preempt_guard_end, LIBRARY);

static struct task *idle_tasks[CPU_MAX];
static unsigned kick_vector;

/* Tasks with a time-out, the earliest first. */
static struct {
    struct lock lock;
    struct task *first;
    uint64_t next_ns; /* when the first one's time is up; read without the lock */
} sleepers = {.next_ns = UINT64_MAX};

/* ---- switching; interrupts are off ---- */

static void account(struct cpu *cpu, struct task *from, struct task *to)
{
    uint64_t now = cpu_ns();

    from->record->run_ns += now - from->started_ns;
    to->started_ns = now;
    to->record->switches++;
    to->record->cpu = cpu->index;
    to->cpu = cpu->index;
    if (cpu->record) {
        cpu->record->current_task = to->index;
        cpu->record->switches++;
    }
    arena_count(COUNTER_switches, 1);
}

/* Whoever else changed the state meanwhile (woken, ended, unwinding) is right. */
static void change_state(struct task *task, enum task_state from, enum task_state to)
{
    uint32_t expected = from;

    (void)__atomic_compare_exchange_n(&task->record->state, &expected, to, false, __ATOMIC_ACQ_REL, __ATOMIC_RELAXED);
}

static void run_next(void)
{
    struct cpu *cpu = cpu_this();
    struct task *from = cpu->task, *to = run_queue_take(cpu->index, from);

    cpu->reschedule = 0;
    if (!to)
        to = idle_tasks[cpu->index];
    change_state(to, TASK_RUNNABLE, TASK_RUNNING);
    if (to == from)
        return;
    change_state(from, TASK_RUNNING, TASK_RUNNABLE);
    to->on_cpu = 1;
    account(cpu, from, to);
    cpu->task = to;
    task_switch(from, to);
}

/* Others take their turn before the running task goes on. */
static void take_turns(void)
{
    struct cpu *cpu = cpu_this();
    struct task *task = cpu->task;

    change_state(task, TASK_RUNNING, TASK_RUNNABLE);
    if (task != idle_tasks[cpu->index])
        (void)run_queue_put(cpu->index, task);
    run_next();
}

void scheduler_block(void)
{
    const struct cpu *cpu = cpu_this();

    assert(!cpu->lock_depth && !cpu->preempt_off && !cpu->interrupt_depth);
    change_state(cpu->task, TASK_RUNNING, TASK_BLOCKED);
    run_next();
}

void scheduler_yield(void)
{
    GUARD(interrupts) off = interrupts_off();
    const struct cpu *cpu = cpu_this();

    if (cpu->task && !cpu->preempt_off && !cpu->lock_depth && !cpu->interrupt_depth)
        take_turns();
}

/* ---- waking ---- */

void scheduler_kick(unsigned cpu)
{
    struct cpu *target = cpu_get(cpu);

    if (target == cpu_this())
        target->reschedule = 1;
    else if (target)
        apic_send_ipi(target->apic_id, kick_vector);
}

/* The right to end a task's wait, given back when a fault keeps its holder from doing so. */
struct claim_guard {
    struct task *task;
};

static void claim_guard_end(struct claim_guard *claim)
{
    if (claim->task)
        __atomic_store_n(&claim->task->waiting, 1, __ATOMIC_RELEASE);
}

static struct claim_guard claim_take(struct task *task)
{
    uint32_t waiting = 1;

    if (!__atomic_compare_exchange_n(&task->waiting, &waiting, 0, false, __ATOMIC_ACQ_REL, __ATOMIC_RELAXED))
        task = NULL;
    return (struct claim_guard){task};
}

bool scheduler_wake(struct task *task, unsigned reason)
{
    GUARD(claim) claim = claim_take(task);

    if (!claim.task)
        return false;
    task->wake_reason = reason;
    scheduler_ready(task);
    claim.task = NULL;
    return true;
}

static void note_next(void) NEEDS(sleepers.lock)
{
    __atomic_store_n(&sleepers.next_ns, sleepers.first ? sleepers.first->wake_ns : UINT64_MAX, __ATOMIC_RELAXED);
}

/* A task's place among the sleepers, for as long as the scope lasts. */
struct sleep_guard {
    struct task *task;
};

static struct sleep_guard sleep_take(struct task *task, uint64_t wake_ns)
{
    GUARD(lock) held = lock_take(&sleepers.lock);
    struct task **link = &sleepers.first;

    task->wake_ns = wake_ns;
    while (*link && (*link)->wake_ns <= wake_ns)
        link = &(*link)->next_sleep;
    task->next_sleep = *link;
    *link = task;
    note_next();
    return (struct sleep_guard){task};
}

static void sleep_guard_end(struct sleep_guard *guard)
{
    if (!guard->task)
        return;
    GUARD(lock) held = lock_take(&sleepers.lock);
    for (struct task **link = &sleepers.first; *link; link = &(*link)->next_sleep)
        if (*link == guard->task) {
            *link = guard->task->next_sleep;
            break;
        }
    note_next();
    guard->task->wake_ns = 0;
}

static void wake_sleepers(void)
{
    uint64_t now = cpu_ns();

    if (now < __atomic_load_n(&sleepers.next_ns, __ATOMIC_RELAXED))
        return;
    GUARD(lock) held = lock_take(&sleepers.lock);
    while (sleepers.first && sleepers.first->wake_ns <= now) {
        (void)scheduler_wake(sleepers.first, ERR_TIMEOUT);
        sleepers.first = sleepers.first->next_sleep;
    }
    note_next();
}

unsigned scheduler_wait(uint64_t wake_ns)
{
    struct task *task = task_this();
    GUARD(sleep) asleep = wake_ns ? sleep_take(task, wake_ns) : (struct sleep_guard){NULL};

    scheduler_block();
    return task->wake_reason;
}

void scheduler_sleep_ns(uint64_t ns)
{
    GUARD(interrupts) off = interrupts_off();
    uint64_t now = cpu_ns();

    __atomic_store_n(&task_this()->waiting, 1, __ATOMIC_RELEASE);
    (void)scheduler_wait(ns < UINT64_MAX - now ? now + ns : UINT64_MAX);
}

/* ---- interrupts ---- */

static void tick(void)
{
    struct cpu *cpu = cpu_this();

    if (cpu->record && cpu->task == idle_tasks[cpu->index])
        cpu->record->idle_ticks++;
    cpu->reschedule = 1;
    wake_sleepers();
}

static void kicked(struct trap_frame *frame)
{
    (void)frame;
    cpu_this()->reschedule = 1;
    apic_eoi();
}

/* The last thing that an interrupt does, on the interrupted task's stack. */
static void leave_interrupt(void)
{
    const struct cpu *cpu = cpu_this();

    if (cpu->reschedule && cpu->task && !cpu->preempt_off && !cpu->lock_depth)
        take_turns();
}

struct preempt_guard scheduler_stay(void)
{
    GUARD(interrupts) off = interrupts_off();
    struct cpu *cpu = cpu_this();

    cpu->preempt_off++;
    return (struct preempt_guard){cpu};
}

void preempt_guard_end(struct preempt_guard *guard)
{
    if (!--guard->cpu->preempt_off && guard->cpu->reschedule)
        scheduler_yield();
}

/* ---- after a fault ---- */

static bool is_running(const struct task *task)
{
    for (unsigned i = 0; i < cpu_count(); i++)
        if (cpu_get(i)->task == task)
            return true;
    return false;
}

static void insert_sleeper(struct task *task)
{
    struct task **link = &sleepers.first;

    while (*link && (*link)->wake_ns <= task->wake_ns)
        link = &(*link)->next_sleep;
    task->next_sleep = *link;
    *link = task;
}

static void put_in_place(struct task *task, void *context)
{
    uint32_t state = task->record->state;
    bool running = is_running(task), idle = task->immortal && task->pinned;
    bool goes_on = state == TASK_RUNNABLE || state == TASK_RUNNING || state == TASK_UNWINDING;

    (void)context;
    task->on_cpu = running;
    task->queued = 0;
    if (idle)
        idle_tasks[task->pinned - 1] = task;
    if (running || idle || (!goes_on && state != TASK_BLOCKED))
        return;
    if (state == TASK_BLOCKED && task->waiting && task->wake_ns)
        insert_sleeper(task);
    if (goes_on || !task->waiting)
        scheduler_ready(task);
}

/* All other CPUs are parked: whoever held the lock is gone. */
UNCHECKED void scheduler_rebuild(void)
{
    run_queue_empty();
    sleepers.first = NULL;
    task_each(put_in_place, NULL);
    note_next();
}

/* ---- start ---- */

static void (*idle_call)(void);

enum err scheduler_bind_idle(void (*idle)(void))
{
    return loader_bind(&idle_call, idle);
}

/* What an idle CPU has left over from calls, in registers and below its stack, would be saved with its task by the next
 * interrupt: an address among it would hold a cell that has been replaced for as long as nothing else runs here. */
static __attribute__((noinline)) void forget_stack(void)
{
    volatile uint64_t below[256];

    for (size_t i = 0; i < array_size(below); i++)
        below[i] = 0;
}

/* Turns interrupts on and stands still until there is one. */
static void halt(void)
{
    __asm__ volatile("xor %%eax, %%eax; xor %%ecx, %%ecx; xor %%edx, %%edx; xor %%ebx, %%ebx; xor %%esi, %%esi; "
                     "xor %%edi, %%edi; xor %%r8d, %%r8d; xor %%r9d, %%r9d; xor %%r10d, %%r10d; xor %%r11d, %%r11d; "
                     "xor %%r12d, %%r12d; xor %%r13d, %%r13d; xor %%r14d, %%r14d; xor %%r15d, %%r15d; sti; hlt" ::
                         : "rax", "rcx", "rdx", "rbx", "rsi", "rdi", "r8", "r9", "r10", "r11", "r12", "r13", "r14",
                           "r15", "memory", "cc");
}

static void idle_run(uint64_t cpu)
{
    for (;;) {
        if (idle_call)
            idle_call();
        {
            GUARD(interrupts) off = interrupts_off();
            run_next();
        }
        if (run_queue_length((unsigned)cpu)) {
            /* A task whose stack another CPU is about to leave. */
            cpu_relax();
            continue;
        }
        forget_stack();
        __asm__ volatile("cli" ::: "memory");
        if (!run_queue_length((unsigned)cpu))
            halt();
        else
            __asm__ volatile("sti" ::: "memory");
    }
}

static enum err bind_callers(void)
{
    kick_vector = exception_vector_new();
    if (!kick_vector)
        return ERR_FULL;
    enum err e = exception_bind(kick_vector, kicked);
    if (e == ERR_OK)
        e = exception_bind_exit(leave_interrupt);
    if (e == ERR_OK)
        e = timer_bind_tick(tick);
    if (e == ERR_OK)
        e = loader_bind(&loader_wait_hook, scheduler_yield);
    return e;
}

enum err scheduler_start(void)
{
    struct cpu *cpu = cpu_this();
    struct task leaving = {0};
    struct arena_task nowhere = {0};
    char name[32];

    if (!kick_vector) {
        enum err e = bind_callers();
        if (e != ERR_OK)
            return e;
    }
    format_print(name, sizeof name, "idle%u", cpu->index);
    OWN(task)
    struct task *idle =
        task_new(name, idle_run, cpu->index, &(struct task_options){.immortal = true, .pinned = cpu->index + 1});
    if (!idle)
        return ERR_NOMEM;
    cpu_interrupts_save();
    leaving.record = &nowhere;
    idle_tasks[cpu->index] = idle;
    run_queue_open(cpu->index);
    account(cpu, &leaving, idle);
    cpu->stack_low = (uint64_t)page_start(idle->stack);
    cpu->stack_top = cpu->stack_low + TASK_STACK_BYTES;
    idle->on_cpu = 1;
    idle->record->state = TASK_RUNNING;
    cpu->task = MOVE(idle);
    task_switch(&leaving, cpu->task);
    panic("the boot context was resumed");
}
