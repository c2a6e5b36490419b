/* Interrupt control: the local APIC of each CPU, routing of device interrupts through the I/O APICs that the MADT names,
 * the old PIC masked (Intel SDM volume 3, chapter 11; ACPI 6.4 §5.2.12). Handlers are bound with exception_bind and
 * call apic_eoi themselves. Interrupts off or on, from any context, unless said otherwise. */
#pragma once
#include "cells/cell.h"

enum apic_timer_mode { APIC_TIMER_ONCE, APIC_TIMER_PERIODIC };

void apic_start_cpu(void); /* enables the local APIC of the running CPU; the boot processor's by init */
void apic_eoi(void);       /* ends the interrupt that is being handled */
uint32_t apic_id(void);    /* of the running CPU */

void apic_send_ipi(uint32_t id, unsigned vector);
void apic_send_init(uint32_t id);
void apic_send_startup(uint32_t id, uint64_t phys); /* enters real mode at `phys`, a page below 1 MiB */

/* Interrupt `irq` of a device goes to the boot processor as `vector`. Below 16 it is an ISA number, which the firmware's
 * overrides translate; from 16 on a global system interrupt, level-triggered and active low like PCI's. */
enum err apic_route(unsigned irq, unsigned vector);

/* The timer of the running CPU, at its bus clock divided by 16; ticks 0 stops it. */
void apic_timer_set(enum apic_timer_mode mode, unsigned vector, uint32_t ticks);
uint32_t apic_timer_left(void);

/* APIC ids of the usable processors, the running one included; their number, at most `max`. */
size_t apic_processors(uint32_t *ret_ids, size_t max);
