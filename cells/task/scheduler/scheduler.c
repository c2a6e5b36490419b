/* See scheduler.h. Switches, keeps time-outs, and wakes; the run queue decides which task is next, ready.c where one
 * is queued. A task may be queued while its stack is still in use: no other CPU takes it before task_switch has left
 * that stack.
 *
 * Every version of the cell has this file. Tasks sleep in its functions all the time. As long as the functions do
 * not change, a swap redirects the tasks' frames to the new version. */
#include "cells/task/scheduler/scheduler.h"
#include "cells/core/edge/edge.h"
#include "cells/core/vector/vector.h"
#include "cells/task/scheduler/ready.h"
#include "cells/core/arena/arena.h"
#include "cells/core/exception/exception.h"
#include "cells/core/loader/loader.h"
#include "cells/core/lock/lock.h"
#include "cells/core/page/page.h"
#include "cells/core/panic/panic.h"
#include "cells/lib/format/format.h"
#include "cells/lib/string/string.h"
#include "cells/task/apic/apic.h"
#include "cells/task/ipi/ipi.h"
#include "cells/task/run_queue/run_queue.h"
#include "cells/task/task/task.h"
#include "cells/task/timer/timer.h"

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
SET_ONCE(kick_vector);

/* Tasks with a time-out, the earliest first. */
static struct {
    struct lock lock;
    struct task *first; /* under lock */
    uint64_t next_ns;   /* its time-out, or UINT64_MAX; atomic: every tick reads it without the lock */
} sleepers = {.next_ns = UINT64_MAX};

/* ---- switching; interrupts are off ---- */

static void account_switch(struct cpu *cpu, struct task *from, struct task *to)
{
    uint64_t now = cpu_ns();

    from->record->run_ns += now - from->scheduler.started_ns;
    to->scheduler.started_ns = now;
    to->record->switches++;
    to->record->cpu = cpu->index;
    if (cpu->record) {
        cpu->record->current_task = to->ref;
        cpu->record->switches++;
    }
    arena_count(COUNTER_switches, 1);
}

/* Does nothing when the state is another one by now: the task was woken, has ended, or is being unwound. */
static void change_state(struct task *task, enum task_state from, enum task_state to)
{
    uint32_t expected = from;

    (void)__atomic_compare_exchange_n(&task->record->state, &expected, to, false, __ATOMIC_ACQ_REL, __ATOMIC_RELAXED);
}

static bool is_on_stack(const struct task *task, uint64_t rsp)
{
    return rsp - task->record->stack_virt < task->record->stack_bytes;
}

/* The task on whose stack this is: what the last switch has noted, unless that was left out. To save this stack pointer
 * as that of another task would lose both. */
static struct task *running_task(struct cpu *cpu)
{
    uint64_t rsp = (uint64_t)__builtin_frame_address(0);

    if (!is_on_stack(cpu->task, rsp))
        (void)task_mend_this(rsp);
    return cpu->task;
}

/* Switches to the next task; returns when the running one runs again. */
static void run_next(void)
{
    struct cpu *cpu = cpu_this();
    struct task *from = running_task(cpu), *to = run_queue_take(cpu->index, from);

    cpu->reschedule = 0;
    if (!to)
        to = idle_tasks[cpu->index];
    change_state(to, TASK_RUNNABLE, TASK_RUNNING);
    if (to == from)
        return;
    change_state(from, TASK_RUNNING, TASK_RUNNABLE);
    if (!is_on_stack(to, to->rsp) && to->record->state != TASK_UNWINDING)
        panic("a task whose stack pointer was lost");
    to->on_cpu = 1;
    account_switch(cpu, from, to);
    cpu->task = to;
    task_switch(from, to);
    cpu_this()->task = from; /* once more: the instruction that has noted it may be damaged */
}

/* Queues the running task, and switches to the next one. An idle task that is being unwound is queued like others: else
 * its fault stays open for as long as there is something to do. */
static void preempt(void)
{
    struct cpu *cpu = cpu_this();
    struct task *task = running_task(cpu);

    change_state(task, TASK_RUNNING, TASK_RUNNABLE);
    if (task != idle_tasks[cpu->index] || task->record->state == TASK_UNWINDING)
        (void)run_queue_put(cpu->index, task);
    run_next();
}

void scheduler_block(void)
{
    struct cpu *cpu = cpu_this();

    if (cpu->lock_depth || cpu->preempt_off || cpu->interrupt_depth)
        panic("sleeps with a lock, in an interrupt, or where it has to stay");
    change_state(running_task(cpu), TASK_RUNNING, TASK_BLOCKED);
    run_next();
}

void scheduler_yield(void)
{
    GUARD(interrupts) off = interrupts_off();
    const struct cpu *cpu = cpu_this();

    if (cpu->task && !cpu->preempt_off && !cpu->lock_depth && !cpu->interrupt_depth)
        preempt();
}

/* ---- waking ---- */

void scheduler_kick(unsigned cpu)
{
    struct cpu *target = cpu_get(cpu);

    if (target == cpu_this())
        target->reschedule = 1;
    else if (target)
        ipi_send(target->apic_id, kick_vector);
}

/* The right to end a task's wait. A fault before the task is ready gives it back. */
struct claim_guard {
    struct task *task; /* NULL: another one has it */
};

static void claim_guard_end(struct claim_guard *claim)
{
    if (claim->task)
        __atomic_store_n(&claim->task->scheduler.waiting, 1, __ATOMIC_RELEASE);
}

static struct claim_guard claim_wait(struct task *task)
{
    return (struct claim_guard){scheduler_claim_wait(&task->scheduler) ? task : NULL};
}

bool scheduler_wake(struct task *task, enum wake reason)
{
    GUARD(claim) claim = claim_wait(task);

    if (!claim.task)
        return false;
    task->scheduler.reason = reason;
    scheduler_ready(task);
    claim.task = NULL;
    return true;
}

static void update_next_ns(void) NEEDS(sleepers.lock)
{
    __atomic_store_n(&sleepers.next_ns, sleepers.first ? sleepers.first->scheduler.wake_ns : UINT64_MAX,
                     __ATOMIC_RELAXED);
}

static void insert_sleeper(struct task *task) NEEDS(sleepers.lock)
{
    struct task **link = &sleepers.first;

    while (*link && (*link)->scheduler.wake_ns <= task->scheduler.wake_ns)
        link = &(*link)->scheduler.next_sleeper;
    task->scheduler.next_sleeper = *link;
    *link = task;
}

/* A task is among the sleepers until the end of the scope. */
struct sleep_guard {
    struct task *task;
};

static struct sleep_guard add_sleeper(struct task *task, uint64_t wake_ns)
{
    GUARD(lock) held = lock_take(&sleepers.lock);

    task->scheduler.wake_ns = wake_ns;
    insert_sleeper(task);
    update_next_ns();
    return (struct sleep_guard){task};
}

static void sleep_guard_end(struct sleep_guard *guard)
{
    if (!guard->task)
        return;
    GUARD(lock) held = lock_take(&sleepers.lock);
    for (struct task **link = &sleepers.first; *link; link = &(*link)->scheduler.next_sleeper)
        if (*link == guard->task) {
            *link = guard->task->scheduler.next_sleeper;
            break;
        }
    update_next_ns();
    guard->task->scheduler.wake_ns = 0;
}

static void wake_sleepers(void)
{
    uint64_t now = cpu_ns();

    if (now < __atomic_load_n(&sleepers.next_ns, __ATOMIC_RELAXED))
        return;
    GUARD(lock) held = lock_take(&sleepers.lock);
    while (sleepers.first && sleepers.first->scheduler.wake_ns <= now) {
        (void)scheduler_wake(sleepers.first, WAKE_TIMEOUT);
        sleepers.first = sleepers.first->scheduler.next_sleeper;
    }
    update_next_ns();
}

enum wake scheduler_wait(uint64_t wake_ns)
{
    struct task *task = task_this();
    GUARD(sleep) asleep = wake_ns ? add_sleeper(task, wake_ns) : (struct sleep_guard){NULL};

    scheduler_block();
    return (enum wake)task->scheduler.reason;
}

void scheduler_sleep_ns(uint64_t ns)
{
    GUARD(interrupts) off = interrupts_off();
    uint64_t now = cpu_ns();

    scheduler_begin_wait(&task_this()->scheduler);
    (void)scheduler_wait(ns < UINT64_MAX - now ? now + ns : UINT64_MAX);
}

/* ---- interrupts ---- */

static void on_clock_tick(void)
{
    struct cpu *cpu = cpu_this();

    if (cpu->record && cpu->task == idle_tasks[cpu->index])
        cpu->record->idle_ticks++;
    cpu->reschedule = 1;
    wake_sleepers();
}

static void on_kick(struct trap_frame *frame)
{
    (void)frame;
    cpu_this()->reschedule = 1;
    apic_eoi();
}

/* Called at the end of every interrupt, on the interrupted task's stack. */
static void on_interrupt_exit(void)
{
    const struct cpu *cpu = cpu_this();

    if (cpu->reschedule && cpu->task && !cpu->preempt_off && !cpu->lock_depth)
        preempt();
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

/* All other CPUs are parked, and the task that held the lock has been unwound. */
UNCHECKED static void queue_again(struct task *task, void *context)
{
    uint32_t state = task->record->state;
    bool running = is_running(task), idle = task->immortal && task->pinned;
    bool runnable = state == TASK_RUNNABLE || state == TASK_RUNNING || state == TASK_UNWINDING;

    (void)context;
    task->on_cpu = running;
    run_queue_forget(&task->run_queue);
    if (idle)
        idle_tasks[task->pinned - 1] = task;
    if (running || (idle && state != TASK_UNWINDING) || (!runnable && state != TASK_BLOCKED))
        return;
    if (state == TASK_BLOCKED && task->scheduler.waiting && task->scheduler.wake_ns)
        insert_sleeper(task);
    if (runnable || !task->scheduler.waiting)
        scheduler_ready(task);
    if (state == TASK_UNWINDING)
        task->record->state = state; /* it waits for nothing, whatever queue it says it is in */
}

UNCHECKED void scheduler_rebuild(void)
{
    run_queue_empty();
    sleepers.lock = (struct lock){}; /* nobody holds it */
    sleepers.first = NULL;
    (void)task_mend_all();
    task_each(queue_again, NULL);
    update_next_ns();
}

/* ---- start ---- */

static void (*idle_hook)(void);

enum err scheduler_bind_idle(void (*idle)(void))
{
    return edge_bind(&idle_hook, idle);
}

/* Clears what earlier calls have left below the stack pointer. The next interrupt's frames include it, and an
 * address in it would keep an old cell in memory for as long as the CPU is idle. halt() clears the registers for the
 * same reason. */
static __attribute__((noinline)) void clear_dead_stack(void)
{
    uint64_t below[256];

    memset(below, 0, sizeof below);
    __asm__ volatile("" ::"r"(below) : "memory"); /* as if they were read */
}

/* Turns interrupts on and halts until there is one. */
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
        __asm__ volatile("sti" ::: "memory"); /* they are on, unless a fault has kept that from being done */
        if (idle_hook)
            idle_hook();
        {
            GUARD(interrupts) off = interrupts_off();
            run_next();
        }
        if (run_queue_length((unsigned)cpu)) {
            /* A task is queued, but another CPU is still leaving its stack. */
            cpu_relax();
            continue;
        }
        clear_dead_stack();
        __asm__ volatile("cli" ::: "memory");
        if (!run_queue_length((unsigned)cpu))
            halt();
        else
            __asm__ volatile("sti" ::: "memory");
    }
}

static enum err bind_hooks(void)
{
    kick_vector = vector_new();
    if (!kick_vector)
        return ERR_FULL;
    enum err e = vector_bind(kick_vector, on_kick);
    if (e == ERR_OK)
        e = edge_bind(&exception_exit, on_interrupt_exit);
    if (e == ERR_OK)
        e = timer_bind_tick(on_clock_tick);
    if (e == ERR_OK)
        e = edge_bind(&loader_wait_hook, scheduler_yield);
    return e;
}

enum err scheduler_start(void)
{
    struct cpu *cpu = cpu_this();
    struct task boot_context = {0}; /* task_switch saves into it what is never resumed */
    struct arena_task boot_record = {0};
    char name[32];

    if (!kick_vector) {
        enum err e = bind_hooks();
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
    boot_context.record = &boot_record;
    idle_tasks[cpu->index] = idle;
    run_queue_open(cpu->index);
    account_switch(cpu, &boot_context, idle);
    cpu->stack_low = idle->record->stack_virt;
    cpu->stack_top = cpu->stack_low + TASK_STACK_BYTES;
    idle->on_cpu = 1;
    idle->record->state = TASK_RUNNING;
    cpu->task = MOVE(idle);
    task_switch(&boot_context, cpu->task);
    panic("the boot context was resumed");
}
