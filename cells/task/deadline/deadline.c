/* See deadline.h. An NMI may come at any instruction: its handler takes no lock, calls what takes none, and ends a
 * function only where that does no more harm than a fault would. The rest is left to an exception, since the unwinder
 * works on the stack of exceptions.
 *
 * NMIs come to the CPU on which the watch began (counter.h). If the task runs on another one by the time that it has to
 * be ended, the NMI is passed on. If it runs nowhere, the next tick of any CPU ends its sleep. */
#include "cells/task/deadline/deadline.h"
#include "cells/core/cpu/cpu.h"
#include "cells/core/edge/edge.h"
#include "cells/core/exception/exception.h"
#include "cells/core/loader/loader.h"
#include "cells/core/lock/lock.h"
#include "cells/core/page/page.h"
#include "cells/core/vector/vector.h"
#include "cells/lib/format/format.h"
#include "cells/task/deadline/counter.h"
#include "cells/task/ipi/ipi.h"
#include "cells/task/scheduler/scheduler.h"
#include "cells/task/task/task.h"
#include "cells/task/timer/timer.h"

CELL("deadline", KERNEL, 1);
FOUNDATION();
EXPORT(deadline_begin, KERNEL);
EXPORT(deadline_guard_end, KERNEL);
EXPORT(deadline_abandon, KERNEL);
EXPORT(deadline_take, KERNEL);
EXPORT(deadline_put_off, KERNEL);
EXPORT(deadline_cell, KERNEL);
EXPORT(deadline_is_asleep, KERNEL);
EXPORT(deadline_describe, KERNEL);
EXPORT(deadline_bind_watch, KERNEL);
EXPORT(deadline_has_counter, KERNEL);

#define LOOK_US     54000 /* between two looks */
#define RETRY_US    1000
#define LOOK_MAX_NS 110000000ull  /* counted at most between two looks: more means that the CPU did not run */
#define GRACE_NS    200000000ull  /* how long a function may be in another cell: then it is ended there */
#define LOST_NS     1000000000ull /* after so long without an NMI of the counter it is started again */
#define NS_PER_MS   1000000ull
#define RFLAGS_IF   0x200ull

extern const uint8_t deadline_trap[];

/* The task is written last and cleared first; the NMI handler reads it first. */
static struct {
    struct deadline now;
    uint64_t looked_ns;
    uint64_t text_low, text_bytes; /* of the cell */
    uint64_t lock_low, lock_bytes; /* of the cell of locks */
    uint64_t rip, rflags;          /* of the function that is being ended */
    uint32_t cpu;                  /* that the counter interrupts */
    uint32_t idle_nmi;             /* 1: an NMI has found nothing to watch, and has not started the counter again */
    uint32_t oversleeps;           /* 1: it is late, and runs on no CPU */
    uint32_t asleep;               /* 1: it is ended in its sleep */
} watch;

/* Of the watchdog, which looks when no function is watched too. */
static void (*nmi_hook)(struct trap_frame *frame);
static void (*tick_hook)(void);

static uint32_t parked_looks; /* CPUs that look while they are parked */

static uint64_t limit_ns(void)
{
    return watch.now.limit_ms * NS_PER_MS;
}

static void count_time(void)
{
    uint64_t now = cpu_ns(), passed = now - watch.looked_ns;

    watch.looked_ns = now;
    watch.now.used_ns += passed < LOOK_MAX_NS ? passed : LOOK_MAX_NS;
}

/* ---- at an NMI ---- */

/* Whether the interrupted code is the task's, outside of interrupt handlers and the unwinder, and in the cell that it
 * called, or has been out of that for long. Not where a lock is taken or released, since no guard releases it there;
 * whoever waits there without end panics. */
static bool may_end(const struct cpu *cpu, const struct trap_frame *frame)
{
    const struct arena_task *record = watch.now.task->record;

    return cpu->interrupt_depth == 1 && frame->rsp - record->stack_virt <= record->stack_bytes &&
           frame->rip - watch.lock_low >= watch.lock_bytes &&
           (frame->rip - watch.text_low < watch.text_bytes || watch.now.used_ns > limit_ns() + GRACE_NS);
}

/* Has the function go on at the trap. What runs when it is unwound has as much time again. */
static void end_function(struct trap_frame *frame)
{
    watch.rip = frame->rip;
    watch.rflags = frame->rflags;
    watch.now.used_ns = 0;
    frame->rip = (uint64_t)deadline_trap;
    frame->rflags &= ~RFLAGS_IF;
}

/* False: no CPU runs the task. */
static bool pass_on(const struct task *task)
{
    const struct cpu *cpu;
    bool runs = false;

    for (unsigned i = 0; (cpu = cpu_get(i)); i++) {
        if (__atomic_load_n(&cpu->task, __ATOMIC_RELAXED) != task)
            continue;
        ipi_send_nmi(cpu->apic_id);
        runs = true;
    }
    return runs;
}

static bool is_late(void)
{
    return watch.now.used_ns >= limit_ns();
}

/* Looks at the task from a CPU that has been interrupted. */
static void look(const struct task *task, struct trap_frame *frame)
{
    const struct cpu *cpu = cpu_this();
    bool looks = cpu->index == watch.cpu;

    if (looks)
        count_time();
    bool late = is_late();
    if (late && cpu->task == task && may_end(cpu, frame))
        end_function(frame);
    else if (late && looks && cpu->task != task)
        watch.oversleeps = !pass_on(task);
    if (looks)
        counter_start(late ? RETRY_US : LOOK_US);
}

/* No function is watched. */
static void look_at_nothing(void)
{
    watch.idle_nmi = 1;
    if (!nmi_hook || cpu_this()->index != watch.cpu)
        return;
    watch.looked_ns = cpu_ns();
    counter_start(LOOK_US);
}

static void on_nmi(struct trap_frame *frame)
{
    const struct task *task = __atomic_load_n(&watch.now.task, __ATOMIC_ACQUIRE);

    if (task)
        look(task, frame);
    else
        look_at_nothing();
    void (*hook)(struct trap_frame *) = nmi_hook;
    if (hook)
        hook(frame);
}

/* ---- at a tick, and while CPUs are parked ---- */

static bool is_on_cpu(const struct task *task)
{
    return __atomic_load_n(&task->on_cpu, __ATOMIC_ACQUIRE);
}

/* Ends the task's sleep: it goes on at the trap, as if its last call had failed. Whoever else wakes it at this moment,
 * or sees the end of its watch, has it run on. */
static void end_sleep(struct task *task)
{
    if (is_on_cpu(task) || !scheduler_claim_wait(&task->scheduler))
        return;
    if (watch.now.task == task && is_late() && !is_on_cpu(task)) {
        struct task_saved *saved = (struct task_saved *)task->rsp;
        watch.rip = saved->rip - 1; /* in the call */
        watch.rflags = 0;
        watch.asleep = 1;
        watch.now.used_ns = 0;
        saved->rip = (uint64_t)deadline_trap;
    }
    watch.oversleeps = 0;
    scheduler_ready(task);
}

/* The counter interrupts the first CPU. */
static void start_idle(void)
{
    watch.cpu = 0;
    watch.looked_ns = cpu_ns();
    counter_route(cpu_get(0)->apic_id);
    counter_start(LOOK_US);
}

static void tick_task(struct task *task, struct trap_frame *frame)
{
    bool due = counter_is_due(), here = watch.cpu == cpu_this()->index;
    if (due && here)
        look(task, frame);
    else if (due)
        ipi_send_nmi(cpu_get(watch.cpu)->apic_id);
    if (watch.oversleeps)
        end_sleep(task);
}

static void on_tick(struct trap_frame *frame)
{
    struct task *task = __atomic_load_n(&watch.now.task, __ATOMIC_ACQUIRE);

    if (task)
        tick_task(task, frame);
    else if (nmi_hook && cpu_this()->index == watch.cpu && cpu_ns() - watch.looked_ns > LOST_NS)
        start_idle();
    void (*hook)(void) = tick_hook;
    if (hook)
        hook();
}

/* What may be rewritten while CPUs are parked does not run but for a watch, whose end waits for it. */
static __attribute__((noinline)) void look_parked(void)
{
    __atomic_add_fetch(&parked_looks, 1, __ATOMIC_SEQ_CST);
    if (__atomic_load_n(&watch.now.task, __ATOMIC_SEQ_CST) && counter_is_due())
        ipi_send_nmi(cpu_get(watch.cpu)->apic_id);
    __atomic_sub_fetch(&parked_looks, 1, __ATOMIC_RELEASE);
}

static void on_parked(void)
{
    if (__atomic_load_n(&watch.now.task, __ATOMIC_RELAXED))
        look_parked();
}

/* ---- at the fault ---- */

bool deadline_take(struct trap_frame *frame)
{
    if (frame->rip != (uint64_t)deadline_trap)
        return false;
    frame->rip = watch.rip;
    frame->rflags = watch.rflags;
    return true;
}

void deadline_put_off(void)
{
    watch.now.used_ns = limit_ns() + GRACE_NS;
}

struct cell_ref deadline_cell(const struct task *task)
{
    return task && watch.now.task == task ? watch.now.cell : NO_CELL;
}

bool deadline_is_asleep(void)
{
    return watch.asleep;
}

void deadline_describe(char *text, size_t bytes)
{
    format_print(text, bytes, "its %s exceeds %u ms%s", watch.now.what, watch.now.limit_ms,
                 watch.asleep ? ", asleep" : "");
}

/* ---- begin and end ---- */

static void watch_only(const struct deadline *deadline)
{
    GUARD(interrupts) off = interrupts_off();
    struct task *task = deadline->task;

    __atomic_store_n(&watch.now.task, NULL, __ATOMIC_SEQ_CST);
    while (__atomic_load_n(&parked_looks, __ATOMIC_SEQ_CST))
        cpu_relax();
    watch.oversleeps = watch.asleep = 0;
    if (!task) {
        if (nmi_hook)
            start_idle();
        else
            counter_stop();
        watch.text_low = watch.lock_low = watch.rip = 0; /* an address would keep its cell in memory */
        return;
    }
    watch.now.cell = deadline->cell;
    watch.now.what = deadline->what;
    watch.now.limit_ms = deadline->limit_ms;
    watch.now.used_ns = deadline->used_ns;
    watch.text_low = arena_cell(deadline->cell)->text_virt;
    watch.text_bytes = arena_cell(deadline->cell)->text_bytes;
    const struct arena_cell *lock = arena_cell(arena_cell_at((uint64_t)lock_take));
    watch.lock_low = lock->text_virt;
    watch.lock_bytes = lock->text_bytes;
    watch.cpu = cpu_this()->index;
    watch.idle_nmi = 0;
    counter_route(cpu_this()->apic_id);
    watch.looked_ns = cpu_ns();
    counter_start(LOOK_US);
    __atomic_store_n(&watch.now.task, task, __ATOMIC_SEQ_CST);
    if (__atomic_load_n(&watch.idle_nmi, __ATOMIC_SEQ_CST))
        counter_start(LOOK_US);
}

struct deadline_guard deadline_begin(struct cell_ref cell, const char *what, uint32_t limit_ms)
{
    struct task *task = cpu_task();
    struct deadline_guard guard = {.watches = task};

    if (!guard.watches)
        return guard;
    if (watch.now.task == task)
        guard.outer = watch.now;
    watch_only(&(struct deadline){.task = task, .cell = cell, .what = what, .limit_ms = limit_ms});
    return guard;
}

void deadline_guard_end(struct deadline_guard *guard)
{
    if (guard->watches)
        watch_only(&guard->outer);
    guard->watches = false;
}

void deadline_abandon(void)
{
    if (watch.now.task && watch.now.task == cpu_task())
        watch_only(&(struct deadline){});
}

/* ---- the watchdog ---- */

enum err deadline_bind_watch(void (*nmi)(struct trap_frame *frame), void (*tick)(void))
{
    GUARD(interrupts) off = interrupts_off();
    enum err e = edge_bind(&tick_hook, tick);

    if (!e)
        e = edge_bind(&nmi_hook, nmi);
    if (!e && !watch.now.task)
        start_idle();
    return e;
}

bool deadline_has_counter(void)
{
    return counter_exists();
}

/* What the loader calls in place of an init function, and of a done function. */
static enum err call_in_time(struct cell_ref cell, enum err (*function)(void))
{
    bool begins = arena_cell(cell)->initialized == CELL_INIT_RUNS;
    GUARD(deadline) limited = deadline_begin(cell, begins ? "init function" : "done function", DEADLINE_INIT_MS);

    return function();
}

static enum err deadline_init(void)
{
    enum err e = vector_bind(EXCEPTION_NMI, on_nmi); /* first: on a slow host one comes at once */

    counter_init();
    if (!e)
        e = timer_bind_look(on_tick);
    if (!e)
        e = edge_bind(&cpu_park_hook, on_parked);
    return e ? e : edge_bind(&loader_call_hook, call_in_time);
}
INIT(deadline_init);
