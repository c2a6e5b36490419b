/* See counter.h. The PIT or the HPET by way of an I/O APIC. Where neither is, another CPU that looks at the clock has
 * to send the NMI: at its tick, or while it is parked. */
#include "cells/task/deadline/counter.h"
#include "cells/core/cpu/cpu.h"
#include "cells/core/page/page.h"
#include "cells/task/apic/apic.h"
#include "cells/task/hpet/hpet.h"
#include "cells/task/ioapic/ioapic.h"
#include "cells/task/pit/pit.h"
#include "guest/abi/layout.h"

#define NMI_VECTOR_PHYS 8    /* in real mode: the address of the handler, as segment and offset */
#define IRET            0xcf /* the instruction, in real mode too */

enum { COUNTER_PIT, COUNTER_HPET, COUNTER_CPUS };

static uint32_t counter; /* one of these; constant after init */
static struct hpet hpet;
SET_ONCE(counter);
SET_ONCE(hpet);
static uint64_t due_ns;      /* COUNTER_CPUS: by cpu_ns; UINT64_MAX: nothing is due */
static uint32_t is_starting; /* 1: a CPU writes to the counter */

/* A CPU that is reset may find that an NMI is under way, before the firmware has its tables: QEMU resets the PIT after
 * the CPU, and the I/O APIC after the PIT. In real mode, where it begins, the handler does nothing. */
static void make_real_mode_handler(void)
{
    *(volatile uint8_t *)page_direct(LAYOUT_REAL_NMI_PHYS) = IRET;
    *(volatile uint32_t *)page_direct(NMI_VECTOR_PHYS) = LAYOUT_REAL_NMI_PHYS >> 4 << 16;
}

void counter_init(void)
{
    make_real_mode_handler();
    pit_set(UINT16_MAX);
    bool has_pit = pit_exists(pit_status());
    pit_start(UINT16_MAX);
    bool routed = ioapic_route_nmi(PIT_IRQ, apic_id()) == ERR_OK;
    ioapic_mask(PIT_IRQ);
    due_ns = UINT64_MAX;
    counter = !routed                                          ? COUNTER_CPUS
              : has_pit                                        ? COUNTER_PIT
              : hpet_open(&hpet) && hpet_take_interrupt(&hpet) ? COUNTER_HPET
                                                               : COUNTER_CPUS;
}

void counter_route(uint32_t id)
{
    if (counter != COUNTER_CPUS)
        (void)ioapic_route_nmi(PIT_IRQ, id);
}

bool counter_exists(void)
{
    return counter != COUNTER_CPUS;
}

static void start_pit(uint32_t us)
{
    uint16_t count = (uint16_t)((uint64_t)us * PIT_HZ / 1000000);

    pit_set(count);
    pit_start(count);
}

void counter_start(uint32_t us)
{
    if (__atomic_exchange_n(&is_starting, 1, __ATOMIC_ACQUIRE))
        return;
    if (counter == COUNTER_PIT)
        start_pit(us);
    else if (counter == COUNTER_HPET)
        hpet_interrupt_after(&hpet, us);
    else
        __atomic_store_n(&due_ns, cpu_ns() + us * 1000ull, __ATOMIC_RELEASE);
    __atomic_store_n(&is_starting, 0, __ATOMIC_RELEASE);
}

void counter_stop(void)
{
    if (counter != COUNTER_CPUS)
        ioapic_mask(PIT_IRQ);
    __atomic_store_n(&due_ns, UINT64_MAX, __ATOMIC_RELEASE);
}

bool counter_is_due(void)
{
    uint64_t due = __atomic_load_n(&due_ns, __ATOMIC_ACQUIRE);

    return due != UINT64_MAX && cpu_ns() >= due &&
           __atomic_compare_exchange_n(&due_ns, &due, UINT64_MAX, false, __ATOMIC_ACQ_REL, __ATOMIC_RELAXED);
}
