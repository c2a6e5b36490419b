/* The HPET: a counter of a known rate, and timer 0, which runs once and interrupts as ISA interrupt 0 in place of the
 * PIT (IA-PC HPET 1.0a §2.3). Each cell that uses it maps its registers. */
#pragma once
#include "cells/core/page/page.h"
#include "cells/task/acpi/acpi.h"

#define HPET_FEMTOSECONDS 1000000000000000ull
#define HPET_PERIOD_MAX   100000000 /* of a tick, in femtoseconds */

/* Registers, in words of 32 bits. */
enum {
    HPET_CAPABILITIES = 0,
    HPET_PERIOD = 1,
    HPET_CONTROL = 4,
    HPET_COUNTER = 60,
    HPET_TIMER_CONTROL = 64,
    HPET_TIMER_END = 66
};
#define HPET_HAS_LEGACY     0x8000u /* of the capabilities: timer 0 can take the place of the PIT */
#define HPET_ENABLE         1u
#define HPET_LEGACY         2u
#define HPET_TIMER_LEVEL    0x2u
#define HPET_TIMER_ENABLE   0x4u
#define HPET_TIMER_PERIODIC 0x8u
#define HPET_TIMER_32_BITS  0x100u

struct hpet {
    struct mapped_pages *pages;
    volatile uint32_t *registers;
    uint64_t hz; /* of the counter, which is there 32 bits wide */
};

/* Finds it and starts its counter; a second time the same one. False: this machine has none, or memory is out. */
static inline bool hpet_open(struct hpet *hpet)
{
    const struct {
        struct acpi_table head;
        uint32_t block;
        uint8_t space, width, offset, access; /* of the address; space 0: memory */
        uint64_t address;
    } __attribute__((packed)) * found;
    const struct acpi_table *table;

    if (acpi_find("HPET", &table) != ERR_OK || table->bytes < sizeof *found)
        return false;
    found = (const void *)table;
    if (found->space != 0 || !found->address || found->address % 8)
        return false;
    if (!hpet->pages)
        hpet->pages = page_map_device(found->address, 1024, PAGE_WRITE | PAGE_UNCACHED);
    if (!hpet->pages)
        return false;
    hpet->registers = (volatile uint32_t *)((char *)page_start(hpet->pages) + found->address % 4096);
    uint32_t period = hpet->registers[HPET_PERIOD];
    if (!period || period > HPET_PERIOD_MAX)
        return false;
    hpet->registers[HPET_CONTROL] |= HPET_ENABLE;
    hpet->hz = HPET_FEMTOSECONDS / period;
    return true;
}

/* Has ISA interrupt 0 come from timer 0, which counts 32 bits: so one write sets its end. False: that cannot be. */
static inline bool hpet_take_interrupt(const struct hpet *hpet)
{
    uint32_t cleared = HPET_TIMER_LEVEL | HPET_TIMER_PERIODIC | HPET_TIMER_ENABLE;

    if (!(hpet->registers[HPET_CAPABILITIES] & HPET_HAS_LEGACY))
        return false;
    hpet->registers[HPET_TIMER_CONTROL] = (hpet->registers[HPET_TIMER_CONTROL] & ~cleared) | HPET_TIMER_32_BITS;
    hpet->registers[HPET_CONTROL] |= HPET_LEGACY;
    return true;
}

/* Interrupts once, `us` microseconds from now, 10 s at most; one that is pending is put off. */
static inline void hpet_interrupt_after(const struct hpet *hpet, uint32_t us)
{
    hpet->registers[HPET_TIMER_END] = hpet->registers[HPET_COUNTER] + (uint32_t)(hpet->hz * us / 1000000);
    hpet->registers[HPET_TIMER_CONTROL] |= HPET_TIMER_ENABLE;
}
