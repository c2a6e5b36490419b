/* See deadline.h. An NMI may come at any instruction: its handler takes no lock, calls what takes none, and ends a
 * function only where that does no more harm than a fault would. The rest is left to an exception, since the unwinder
 * works on the stack of exceptions.
 *
 * The PIT interrupts the CPU on which the watch began. If the task runs on another one by the time that it has to be
 * ended, the NMI is passed on. */
#include "cells/task/deadline/deadline.h"
#include "cells/core/cpu/cpu.h"
#include "cells/core/edge/edge.h"
#include "cells/core/exception/exception.h"
#include "cells/core/loader/loader.h"
#include "cells/core/page/page.h"
#include "cells/core/vector/vector.h"
#include "cells/lib/format/format.h"
#include "cells/task/apic/apic.h"
#include "cells/task/ioapic/ioapic.h"
#include "cells/task/ipi/ipi.h"
#include "cells/task/pit/pit.h"
#include "cells/task/task/task.h"

CELL("deadline", KERNEL, 1);
FOUNDATION();
EXPORT(deadline_begin, KERNEL);
EXPORT(deadline_guard_end, KERNEL);
EXPORT(deadline_abandon, KERNEL);
EXPORT(deadline_take, KERNEL);
EXPORT(deadline_put_off, KERNEL);
EXPORT(deadline_cell, KERNEL);
EXPORT(deadline_describe, KERNEL);

#define LOOK_COUNT  UINT16_MAX /* of the PIT, between two looks: 55 ms */
#define RETRY_COUNT (PIT_HZ / 1000)
#define LOOK_MAX_NS 110000000ull /* counted at most between two looks: more means that the CPU did not run */
#define GRACE_NS    200000000ull /* how long a function may be in another cell: then it is ended there */
#define NS_PER_MS   1000000ull
#define RFLAGS_IF   0x200ull

extern const uint8_t deadline_trap[];

static bool works; /* constant after init */

/* The task is written last and cleared first; the NMI handler reads it first. */
static struct {
    struct deadline now;
    uint64_t looked_ns;
    uint64_t text_low, text_bytes; /* of the cell */
    uint64_t rip, rflags;          /* of the function that is being ended */
    uint32_t cpu;                  /* that the PIT interrupts */
    uint32_t idle_nmi;             /* 1: an NMI has found nothing to watch, and has not started the counter again */
} watch;

static uint32_t is_starting; /* 1: a CPU writes to the PIT */

/* When two CPUs want to, one does. */
static void start_counter(uint16_t count)
{
    if (__atomic_exchange_n(&is_starting, 1, __ATOMIC_ACQUIRE))
        return;
    pit_set(count);
    pit_start(count);
    __atomic_store_n(&is_starting, 0, __ATOMIC_RELEASE);
}

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
 * called, or has been out of that for long. */
static bool may_end(const struct cpu *cpu, const struct trap_frame *frame)
{
    const struct arena_task *record = watch.now.task->record;

    return cpu->interrupt_depth == 1 && frame->rsp - record->stack_virt <= record->stack_bytes &&
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

static void pass_on(const struct task *task)
{
    const struct cpu *cpu;

    for (unsigned i = 0; (cpu = cpu_get(i)); i++)
        if (__atomic_load_n(&cpu->task, __ATOMIC_RELAXED) == task)
            ipi_send_nmi(cpu->apic_id);
}

static void on_nmi(struct trap_frame *frame)
{
    const struct cpu *cpu = cpu_this();
    const struct task *task = __atomic_load_n(&watch.now.task, __ATOMIC_ACQUIRE);
    bool looks = cpu->index == watch.cpu;

    if (!task) {
        watch.idle_nmi = 1;
        return;
    }
    if (looks)
        count_time();
    bool late = watch.now.used_ns >= limit_ns();
    if (late && cpu->task == task && may_end(cpu, frame))
        end_function(frame);
    else if (late && looks && cpu->task != task)
        pass_on(task);
    if (looks)
        start_counter(late ? RETRY_COUNT : LOOK_COUNT);
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

struct cell_ref deadline_cell(void)
{
    return watch.now.cell;
}

void deadline_describe(char *text, size_t bytes)
{
    format_print(text, bytes, "its %s exceeds %u ms", watch.now.what, watch.now.limit_ms);
}

/* ---- begin and end ---- */

static void watch_only(const struct deadline *deadline)
{
    GUARD(interrupts) off = interrupts_off();
    struct task *task = deadline->task;

    __atomic_store_n(&watch.now.task, NULL, __ATOMIC_RELEASE);
    if (!task) {
        ioapic_mask(PIT_IRQ);
        watch.text_low = watch.rip = 0; /* an address would keep its cell in memory */
        return;
    }
    watch.now.cell = deadline->cell;
    watch.now.what = deadline->what;
    watch.now.limit_ms = deadline->limit_ms;
    watch.now.used_ns = deadline->used_ns;
    watch.text_low = arena_cell(deadline->cell)->text_virt;
    watch.text_bytes = arena_cell(deadline->cell)->text_bytes;
    watch.cpu = cpu_this()->index;
    watch.idle_nmi = 0;
    (void)ioapic_route_nmi(PIT_IRQ, cpu_this()->apic_id);
    watch.looked_ns = cpu_ns();
    start_counter(LOOK_COUNT);
    __atomic_store_n(&watch.now.task, task, __ATOMIC_SEQ_CST);
    if (__atomic_load_n(&watch.idle_nmi, __ATOMIC_SEQ_CST))
        start_counter(LOOK_COUNT);
}

struct deadline_guard deadline_begin(struct cell_ref cell, const char *what, uint32_t limit_ms)
{
    struct task *task = cpu_task();
    struct deadline_guard guard = {.watches = works && task};

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

/* What the loader calls in place of an init function, and of a done function. */
static enum err call_in_time(struct cell_ref cell, enum err (*function)(void))
{
    bool begins = arena_cell(cell)->initialized == CELL_INIT_RUNS;
    GUARD(deadline) limited = deadline_begin(cell, begins ? "init function" : "done function", DEADLINE_INIT_MS);

    return function();
}

static enum err deadline_init(void)
{
    pit_set(LOOK_COUNT);
    works = pit_exists(pit_status()) && ioapic_route_nmi(PIT_IRQ, apic_id()) == ERR_OK;
    pit_start(LOOK_COUNT);
    ioapic_mask(PIT_IRQ);
    enum err e = vector_bind(EXCEPTION_NMI, on_nmi);
    return e ? e : edge_bind(&loader_call_hook, call_in_time);
}
INIT(deadline_init);
