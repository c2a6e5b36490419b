/* Routes interrupts of devices to CPUs through the I/O APICs that the MADT names (82093AA; ACPI 6.4 §5.2.12). Below 16
 * an interrupt `irq` is an ISA number, which the firmware's overrides translate; from 16 on it is a global system
 * interrupt. All functions may be called from any context. */
#pragma once
#include "cells/cell.h"

/* Routes interrupt `irq` to the boot CPU as `vector`, with the trigger mode and polarity that the firmware names; from
 * 16 on level-triggered and active low, like PCI's. ERR_RANGE: no vector for devices. ERR_NOT_FOUND: no I/O APIC has
 * that interrupt. Version 1 of cell apic routes to the first CPU too, and knows edges only: there ERR_UNSUPPORTED from
 * 16 on. */
enum err ioapic_route(unsigned irq, unsigned vector);

/* Routes ISA interrupt `irq` to the CPU of that APIC id as an NMI, which is taken although interrupts are off.
 * ERR_RANGE: a line cannot name that CPU. ERR_UNSUPPORTED from 16 on. ERR_NOT_FOUND as above. */
enum err ioapic_route_nmi(unsigned irq, uint32_t id);
/* Ends the deliveries of an ISA interrupt. */
void ioapic_mask(unsigned irq);

/* ---- not in apic_v1 ---- */

/* All that can be said of one line. */
struct ioapic_line {
    unsigned vector;
    unsigned cpu; /* index of the CPU that it goes to */
    bool level, low, masked;
};
/* As ioapic_route, in every respect as asked for. ERR_RANGE also: no such CPU, or one that a line cannot name. */
enum err ioapic_set(unsigned irq, const struct ioapic_line *line);
/* How a line is set. ERR_NOT_FOUND as above, or when it goes to a CPU that is not known. */
enum err ioapic_get(unsigned irq, struct ioapic_line *ret_line);
