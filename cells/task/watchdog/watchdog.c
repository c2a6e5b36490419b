/* See watchdog.h. An NMI may come at any instruction, also amid a swap: its handler takes no lock, and calls other
 * cells only to send an NMI to a CPU that looks as if it hung. What each CPU has seen of itself only that CPU writes,
 * in the handler of NMIs, which are not nested. What is seen of other CPUs several may write at once: at worst an NMI
 * is sent in vain. */
#include "cells/task/watchdog/watchdog.h"
#include "cells/core/arena/arena.h"
#include "cells/core/boot/boot.h"
#include "cells/core/cpu/cpu.h"
#include "cells/core/exception/exception.h"
#include "cells/core/panic/panic.h"
#include "cells/lib/format/format.h"
#include "cells/lib/string/string.h"
#include "cells/task/apic/apic.h"
#include "cells/task/deadline/deadline.h"
#include "cells/task/ipi/ipi.h"
#include "cells/task/task/task.h"
#include "cells/task/timer/timer.h"

CELL("watchdog", KERNEL, 1);
FOUNDATION();
EXPORT(watchdog_take, KERNEL);
EXPORT(watchdog_describe, KERNEL);
EXPORT(watchdog_hear, KERNEL);

#define NS_PER_MS      1000000ul
#define MS_MAX         1000000
#define LOOK_MAX_NS    60000000ull  /* counted at most between two NMIs: more means that the CPU did not run */
#define LATE_NS        200000000ull /* after so long without progress another CPU is sent NMIs */
#define ASK_NS         50000000ull  /* between two of them */
#define TICKS_PER_LOOK 5
#define WAITER_TIMES   4 /* as long for a CPU that waits for another one */
#define RFLAGS_IF      0x200ull
#define IS_AWAITED     (1ull << 63)
#define IS_PARKED      (1ull << 62)

extern const uint8_t watchdog_trap[];

static uint64_t limit_ns; /* 0: off. Constant after init */
SET_ONCE(limit_ns);

/* What a CPU has seen of itself. */
static struct own {
    uint64_t progress, looked_ns;
    uint64_t still_ns;                     /* it has not changed for so long */
    uint64_t hears;                        /* 1: interrupts were on at one of the NMIs meanwhile */
    uint64_t rip, rflags, found, found_ns; /* of what is being ended; found: enum watchdog_found */
    uint64_t waiter;                       /* index of the CPU that waits for it then, plus one */
} owns[CPU_MAX];

/* What others have seen of it. */
static struct seen {
    uint64_t progress, since_ns, asked_ns;
} seen[CPU_MAX];

static uint64_t load(const uint64_t *word)
{
    return __atomic_load_n(word, __ATOMIC_RELAXED);
}

static void store(uint64_t *word, uint64_t value)
{
    __atomic_store_n(word, value, __ATOMIC_RELAXED);
}

/* A CPU that waits for `cpu`. NULL: there is none. */
static const struct cpu *waiter_for(const struct cpu *cpu)
{
    const struct cpu *other;

    for (unsigned i = 0; (other = cpu_get(i)); i++)
        if (other != cpu && __atomic_load_n(&other->waits_for, __ATOMIC_RELAXED) == cpu->index + 1)
            return other;
    return NULL;
}

static bool is_parked(const struct cpu *cpu)
{
    return __atomic_load_n(&cpu->parked, __ATOMIC_SEQ_CST) != CPU_RUNS;
}

/* Changes while the CPU does not hang, and when it parks or is no longer parked. */
static uint64_t progress_of(const struct cpu *cpu)
{
    const struct cpu *waiter = waiter_for(cpu);

    if (is_parked(cpu))
        return IS_PARKED | cpu->parked_round;
    return waiter ? IS_AWAITED | load(&waiter->waits) : load(&cpu->record->ticks) + load(&cpu->lock_looks);
}

static bool has_started(const struct cpu *cpu)
{
    return cpu->task && cpu->record && load(&cpu->record->ticks);
}

/* ---- other CPUs ---- */

static void look_at(const struct cpu *cpu)
{
    struct seen *s = &seen[cpu->index];
    uint64_t progress = progress_of(cpu), now = cpu_ns();

    if (progress != load(&s->progress)) {
        store(&s->progress, progress);
        store(&s->since_ns, now);
    } else if (now - load(&s->since_ns) > LATE_NS && now - load(&s->asked_ns) > ASK_NS) {
        store(&s->asked_ns, now);
        ipi_send_nmi(cpu->apic_id);
    }
}

static void look_at_others(void)
{
    const struct cpu *cpu;

    for (unsigned i = 0; (cpu = cpu_get(i)); i++)
        if (cpu != cpu_this() && has_started(cpu) && !is_parked(cpu))
            look_at(cpu);
}

/* ---- itself, at an NMI ---- */

/* Whether it is the deadline cell's to end what the CPU runs. */
static bool has_deadline(const struct cpu *cpu)
{
    return cpu->interrupt_depth == 1 && deadline_cell(cpu->task).index;
}

/* Counts for how long there has been no progress. */
static void look_at_own(struct own *own, const struct cpu *cpu)
{
    uint64_t progress = progress_of(cpu), now = cpu_ns(), passed = now - own->looked_ns;

    own->looked_ns = now;
    if (progress != own->progress || has_deadline(cpu))
        own->still_ns = own->hears = 0;
    else
        own->still_ns += passed < LOOK_MAX_NS ? passed : LOOK_MAX_NS;
    own->progress = progress;
}

static bool is_late(const struct own *own, const struct cpu *cpu)
{
    return own->still_ns >= (cpu->waits_for ? WAITER_TIMES * limit_ns : limit_ns);
}

/* Has the CPU go on at the trap. */
static void end_hang(struct own *own, const struct cpu *cpu, struct trap_frame *frame)
{
    const struct cpu *waiter = waiter_for(cpu);

    own->found = own->hears && cpu->interrupt_depth == 1 ? WATCHDOG_DEAF : WATCHDOG_HANG;
    own->found_ns = own->still_ns;
    own->waiter = waiter ? waiter->index + 1 : 0;
    own->still_ns = own->hears = 0;
    own->rip = frame->rip;
    own->rflags = frame->rflags;
    frame->rip = (uint64_t)watchdog_trap;
    frame->rflags &= ~RFLAGS_IF;
}

static void on_nmi(struct trap_frame *frame)
{
    const struct cpu *cpu = cpu_this();
    struct own *own = &owns[cpu->index];

    if (!has_started(cpu) || frame->rip == (uint64_t)watchdog_trap)
        return;
    look_at_own(own, cpu);
    if (own->still_ns > limit_ns / 2) /* before, it may have had no time for the tick that is due */
        own->hears |= (frame->rflags & RFLAGS_IF) && cpu->interrupt_depth == 1;
    bool late = is_late(own, cpu), parked = is_parked(cpu);
    if (late && !parked)
        end_hang(own, cpu, frame);
    if (late || !parked) /* the CPU that has parked this one, for long, may hang */
        look_at_others();
}

/* ---- at a tick ---- */

static void on_tick(void)
{
    struct cpu *cpu = cpu_this();

    __atomic_store_n(&cpu->waits_for, 0, __ATOMIC_RELAXED); /* who waits has interrupts off: a fault has ended that */
    if (has_started(cpu) && load(&cpu->record->ticks) % TICKS_PER_LOOK == 0)
        look_at_others();
}

/* ---- at the fault ---- */

enum watchdog_found watchdog_take(struct trap_frame *frame)
{
    struct own *own = &owns[cpu_this()->index];

    if (frame->rip != (uint64_t)watchdog_trap)
        return WATCHDOG_NOTHING;
    frame->rip = own->rip;
    frame->rflags = own->rflags;
    own->rip = 0; /* an address would keep its cell in memory */
    return (enum watchdog_found)own->found;
}

void watchdog_describe(char *text, size_t bytes)
{
    const struct own *own = &owns[cpu_this()->index];

    if (own->waiter)
        format_print(text, bytes, "no answer to CPU %u for %lu ms", (unsigned)own->waiter - 1,
                     own->found_ns / NS_PER_MS);
    else
        format_print(text, bytes, "no tick for %lu ms", own->found_ns / NS_PER_MS);
}

unsigned watchdog_hear(char *text, size_t bytes)
{
    unsigned vector = apic_in_service();

    if (vector)
        format_print(text, bytes, "interrupt %u not ended", vector);
    else
        format_print(text, bytes, "the timer stood");
    apic_end_interrupts();
    apic_start_cpu();
    timer_start_cpu();
    return vector;
}

/* ---- start ---- */

/* 0: off. */
static uint64_t chosen_ms(void)
{
    char option[8];
    uint64_t ms = 0;

    if (!boot_option("watchdog", option, sizeof option))
        return CPU_HANG_MS;
    if (string_equal(option, "no"))
        return 0;
    for (const char *digit = option; *digit >= '0' && *digit <= '9'; digit++)
        ms = ms * 10 + (uint64_t)(*digit - '0');
    return ms && ms <= MS_MAX ? ms : CPU_HANG_MS;
}

static enum err watchdog_init(void)
{
    limit_ns = chosen_ms() * NS_PER_MS;
    if (!limit_ns)
        return ERR_OK;
    if (!deadline_has_counter())
        panic_print("watchdog: no PIT or HPET sends NMIs here; a CPU is watched by the others only\n");
    return deadline_bind_watch(on_nmi, on_tick);
}
INIT(watchdog_init);
