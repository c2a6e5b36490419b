/* See park.h. One CPU at a time parks the others, the one in `holder`. Another one that wants to waits with
 * interrupts on, and is parked there like any other CPU. Each round has a number: an interrupt that comes late, when
 * its round has ended, parks nobody. */
#include "cells/task/park/park.h"
#include "cells/core/cpu/cpu.h"
#include "cells/core/exception/exception.h"
#include "cells/core/lock/lock.h"
#include "cells/core/panic/panic.h"
#include "cells/core/vector/vector.h"
#include "cells/task/apic/apic.h"
#include "cells/task/ipi/await.h"
#include "cells/task/ipi/ipi.h"
#include "cells/task/simd/simd.h"
#include "cells/task/task/task.h"

CELL("park", KERNEL, 1);
FOUNDATION();
EXPORT(park_all, KERNEL);
EXPORT(park_try, KERNEL);
EXPORT(park_guard_end, KERNEL);
EXPORT(park_abandon, KERNEL);

#define ASK_AGAIN_NS 1000000 /* a fault may have taken a CPU out of its wait before it was seen there */

static unsigned vector;
SET_ONCE(vector);
static uint32_t holder;             /* CPU index plus one */
static uint32_t asked = UINT32_MAX; /* the round that the CPUs are asked to park for, or were last; by the holder */

/* With the SIMD registers on the stack: they may hold pointers too. */
static void park_with_simd(struct simd_part *part, uint32_t now)
{
    struct simd_state state;

    simd_save(part, &state);
    cpu_park(now);
    simd_restore(part);
}

static void on_park(struct trap_frame *frame)
{
    (void)frame;
    apic_eoi();
    uint32_t now = __atomic_load_n(&asked, __ATOMIC_ACQUIRE);
    struct task *task = cpu_task();
    if (task && task->simd.enabled)
        park_with_simd(&task->simd, now);
    else
        cpu_park(now);
}

/* Whether the CPU is in `state`, parked for this round, or has halted for ever. */
static bool is_in(const struct cpu *cpu, uint32_t state)
{
    uint32_t now = __atomic_load_n(&cpu->parked, __ATOMIC_SEQ_CST);

    return now == CPU_HALTED || (now == state && (state == CPU_RUNS || cpu->parked_round == asked));
}

static void await_cpu(const struct cpu *cpu, uint32_t state)
{
    uint64_t asked_ns = cpu_ns();
    GUARD(answer) wait = ipi_await(cpu);

    while (!is_in(cpu, state)) {
        ipi_await_more(&wait);
        if (lock_wait_hook)
            lock_wait_hook(); /* that CPU may wait for this one */
        if (state == CPU_PARKED && cpu_ns() - asked_ns > ASK_AGAIN_NS) {
            ipi_send(cpu->apic_id, vector);
            asked_ns = cpu_ns();
        }
        cpu_relax();
    }
}

/* Waits until every other CPU is in `state`. */
static void await_cpus(uint32_t state)
{
    for (unsigned i = 0; i < cpu_count(); i++)
        if (cpu_get(i) != cpu_this())
            await_cpu(cpu_get(i), state);
}

/* False: another CPU parks. A holder that is no CPU is a damaged word. */
static bool try_hold_all(void)
{
    uint32_t now = __atomic_load_n(&holder, __ATOMIC_RELAXED);

    return (!now || now > cpu_count()) &&
           __atomic_compare_exchange_n(&holder, &now, cpu_this()->index + 1, false, __ATOMIC_ACQUIRE, __ATOMIC_RELAXED);
}

static void release_all(void)
{
    cpu_unpark();
    __atomic_store_n(&holder, 0, __ATOMIC_RELEASE);
}

/* A holder keeps interrupts off, so that its task is still on this CPU. */
void park_abandon(void)
{
    if (__atomic_load_n(&holder, __ATOMIC_RELAXED) == cpu_this()->index + 1)
        release_all();
}

/* With all held. */
static void park_others(void)
{
    await_cpus(CPU_RUNS); /* those that are still leaving the round before; a late interrupt parks nobody */
    __atomic_store_n(&asked, cpu_park_round(), __ATOMIC_RELEASE);
    for (unsigned i = 0; i < cpu_count(); i++)
        if (cpu_get(i) != cpu_this())
            ipi_send(cpu_get(i)->apic_id, vector);
    await_cpus(CPU_PARKED);
}

/* `waits`: while another CPU parks. */
static struct park_guard park(bool waits)
{
    GUARD(park)
    guard = {.rflags =
                 cpu_interrupts_save()}; /* releases after a fault in here; the caller's guard takes over at the end */

    assert(cpu_this()->lock_depth == 0);
    park_abandon(); /* if this CPU holds already, a fault has ended that scope without its cleanup */
    while (!(guard.held = try_hold_all()) && waits) {
        cpu_interrupts_restore(guard.rflags);
        cpu_relax();
        (void)cpu_interrupts_save();
    }
    guard.started_ns = cpu_ns();
    if (guard.held)
        park_others();

    struct park_guard ret_guard = guard;
    guard = (struct park_guard){0};
    return ret_guard;
}

struct park_guard park_all(void)
{
    return park(true);
}

struct park_guard park_try(void)
{
    return park(false);
}

void park_guard_end(struct park_guard *guard)
{
    if (guard->held)
        release_all();
    guard->held = false;
    cpu_interrupts_restore(guard->rflags);
}

static enum err park_init(void)
{
    vector = vector_new();
    return vector ? vector_bind(vector, on_park) : ERR_FULL;
}
INIT(park_init);
