/* See park.h. Whoever comes second waits with interrupts on, and is parked there like any other CPU. */
#include "cells/kernel/park/park.h"
#include "cells/kernel/apic/apic.h"
#include "cells/kernel/cpu/cpu.h"
#include "cells/kernel/exception/exception.h"
#include "cells/kernel/lock/lock.h"
#include "cells/kernel/panic/panic.h"
#include "cells/kernel/simd/simd.h"
#include "cells/kernel/task/task.h"

CELL("park", KERNEL, 1);
EXPORT(park_all, KERNEL);
EXPORT(park_guard_end, KERNEL);

static unsigned vector;
static uint32_t holder; /* CPU index plus one */

/* SIMD registers may hold pointers too. */
static void park_simd(void)
{
    struct simd_state state;

    task_save_simd(&state);
    cpu_park();
    task_resume_simd();
}

static void on_interrupt(struct trap_frame *frame)
{
    (void)frame;
    apic_eoi();
    if (cpu_task() && cpu_task()->simd)
        park_simd();
    else
        cpu_park();
}

/* Waits until every other CPU is in `state`, or has halted for ever. */
static void wait_for(uint32_t state)
{
    for (unsigned i = 0; i < cpu_count(); i++) {
        const struct cpu *cpu = cpu_get(i);
        uint32_t now;
        while (cpu != cpu_this() && (now = __atomic_load_n(&cpu->parked, __ATOMIC_SEQ_CST)) != state &&
               now != CPU_HALTED) {
            if (lock_wait_hook)
                lock_wait_hook(); /* it may wait for this CPU in turn */
            cpu_relax();
        }
    }
}

/* False: another CPU has it. Who has it keeps interrupts off; so this CPU has it only when a fault has ended its scope
 * without the scope's cleanup, and then the others still stand there. */
static bool try_take(void)
{
    uint32_t self = cpu_this()->index + 1, now = 0;

    if (__atomic_compare_exchange_n(&holder, &now, self, false, __ATOMIC_ACQUIRE, __ATOMIC_RELAXED))
        return true;
    if (now == self)
        cpu_unpark();
    return now == self;
}

struct park_guard park_all(void)
{
    GUARD(park) guard = {.rflags = cpu_interrupts_save()}; /* lets go on a fault; the caller's takes over at the end */

    assert(cpu_this()->lock_depth == 0);
    while (!try_take()) {
        cpu_interrupts_restore(guard.rflags);
        cpu_relax();
        (void)cpu_interrupts_save();
    }
    guard.held = true;
    guard.started_ns = cpu_ns();
    wait_for(CPU_RUNS); /* those that are still on their way out of the last time */
    for (unsigned i = 0; i < cpu_count(); i++)
        if (cpu_get(i) != cpu_this())
            apic_send_ipi(cpu_get(i)->apic_id, vector);
    wait_for(CPU_PARKED);

    struct park_guard ret_guard = guard;
    guard = (struct park_guard){0};
    return ret_guard;
}

void park_guard_end(struct park_guard *guard)
{
    if (guard->held) {
        cpu_unpark();
        __atomic_store_n(&holder, 0, __ATOMIC_RELEASE);
    }
    guard->held = false;
    cpu_interrupts_restore(guard->rflags);
}

static enum err park_init(void)
{
    vector = exception_vector_new();
    return vector ? exception_bind(vector, on_interrupt) : ERR_FULL;
}
INIT(park_init);
