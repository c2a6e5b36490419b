/* See calibration.h: the HPET, the timer of ACPI's power management (ACPI 6.4 §4.8.3.3), and the TSC itself where CPUID
 * says its rate (Intel SDM, leaves 0x15 and 0x16). */
#include "cells/task/calibration/calibration.h"
#include "cells/core/cpu/cpu.h"
#include "cells/core/panic/panic.h"
#include "cells/task/acpi/acpi.h"
#include "cells/task/apic/apic.h"
#include "cells/task/hpet/hpet.h"

CELL("calibration", KERNEL, 1);
EXPORT(calibration_measure, KERNEL);

#define SAMPLES   3
#define POLLS_MAX 10000000
#define PM_HZ     3579545
#define PM_BITS   0xffffff

struct clock {
    const char *name;
    enum err (*find)(struct clock *clock); /* sets the rest; ERR_NOT_FOUND: this machine lacks it */
    uint64_t hz;
    uint64_t mask; /* of the bits that count */
    uint64_t (*read)(void);
};

struct fadt { /* as far as it is read here */
    struct acpi_table head;
    uint8_t others[40];
    uint32_t pm_timer; /* a port */
    uint8_t more[11], pm_timer_bytes;
} __attribute__((packed));
_Static_assert(offsetof(struct fadt, pm_timer) == 76 && offsetof(struct fadt, pm_timer_bytes) == 91);

static uint16_t pm_port;

static struct hpet hpet;

static uint64_t hpet_read(void)
{
    return hpet.registers[HPET_COUNTER];
}

static enum err hpet_find(struct clock *ret)
{
    if (!hpet_open(&hpet))
        return ERR_NOT_FOUND;
    ret->hz = hpet.hz;
    ret->mask = UINT32_MAX;
    ret->read = hpet_read;
    return ERR_OK;
}

static uint64_t pm_read(void)
{
    uint32_t value;

    __asm__ volatile("inl %1, %0" : "=a"(value) : "Nd"(pm_port));
    return value;
}

static enum err pm_find(struct clock *ret)
{
    const struct acpi_table *table;

    if (acpi_find("FACP", &table) != ERR_OK || table->bytes < sizeof(struct fadt))
        return ERR_NOT_FOUND;
    const struct fadt *found = (const void *)table;
    if (!found->pm_timer || found->pm_timer > UINT16_MAX || found->pm_timer_bytes != 4)
        return ERR_NOT_FOUND;
    pm_port = (uint16_t)found->pm_timer;
    ret->hz = PM_HZ;
    ret->mask = PM_BITS;
    ret->read = pm_read;
    return ERR_OK;
}

static uint64_t tsc_read(void)
{
    return cpu_tsc();
}

static enum err cpuid_find(struct clock *ret)
{
    uint32_t leaves = cpu_leaf(0).a;
    struct cpu_leaf ratio = leaves >= 0x15 ? cpu_leaf(0x15) : (struct cpu_leaf){0};

    ret->hz = ratio.a ? (uint64_t)ratio.c * ratio.b / ratio.a : 0; /* crystal, numerator, denominator */
    if (!ret->hz && leaves >= 0x16)
        ret->hz = (uint64_t)(cpu_leaf(0x16).a & 0xffff) * 1000000;
    ret->mask = UINT64_MAX;
    ret->read = tsc_read;
    return ret->hz ? ERR_OK : ERR_NOT_FOUND;
}

/* One sample. ERR_TIMEOUT: the clock stands still. */
static enum err sample(const struct clock *clock, unsigned vector, unsigned hz, uint64_t *ret_tsc, uint32_t *ret_ticks)
{
    uint64_t rflags = cpu_interrupts_save(), wanted = clock->hz / hz;
    int polls = 0;

    apic_timer_set(APIC_TIMER_ONCE, vector, UINT32_MAX);
    uint64_t start = cpu_tsc(), first = clock->read();
    while (((clock->read() - first) & clock->mask) < wanted && ++polls < POLLS_MAX)
        cpu_relax();
    *ret_tsc = cpu_tsc() - start;
    *ret_ticks = UINT32_MAX - apic_timer_left();
    apic_timer_set(APIC_TIMER_ONCE, vector, 0);
    cpu_interrupts_restore(rflags);
    return polls < POLLS_MAX ? ERR_OK : ERR_TIMEOUT;
}

/* The shortest of some samples, since it was disturbed least. */
static enum err measure_by(const struct clock *clock, unsigned vector, unsigned hz, uint64_t *ret_tsc,
                           uint32_t *ret_ticks)
{
    enum err e = ERR_OK;

    *ret_tsc = UINT64_MAX;
    *ret_ticks = UINT32_MAX;
    for (int i = 0; i < SAMPLES && e == ERR_OK; i++) {
        uint64_t tsc;
        uint32_t ticks;
        e = sample(clock, vector, hz, &tsc, &ticks);
        if (e == ERR_OK && tsc < *ret_tsc)
            *ret_tsc = tsc;
        if (e == ERR_OK && ticks < *ret_ticks)
            *ret_ticks = ticks;
    }
    return e;
}

enum err calibration_measure(unsigned vector, unsigned hz, uint64_t *ret_tsc, uint32_t *ret_ticks)
{
    struct clock clocks[] = {{.name = "HPET", .find = hpet_find},
                             {.name = "ACPI timer", .find = pm_find},
                             {.name = "CPUID", .find = cpuid_find}};

    for (size_t i = 0; i < array_size(clocks); i++) {
        if (clocks[i].find(&clocks[i]) != ERR_OK || measure_by(&clocks[i], vector, hz, ret_tsc, ret_ticks) != ERR_OK)
            continue;
        panic_print("timer: no 8254 (PIT) counts; the time is measured by ");
        panic_print(clocks[i].name);
        panic_print("\n");
        return ERR_OK;
    }
    panic_print(
        "timer: no clock to measure the time by: no 8254 (PIT), HPET or ACPI timer counts, and CPUID has no rate\n");
    return ERR_UNSUPPORTED;
}
