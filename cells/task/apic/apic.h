/* The local APIC of each CPU (Intel SDM volume 3, chapter 11): ends of interrupts, its timer, its other sources, and
 * which CPUs there are. The old PIC is masked. Handlers are bound with vector_bind, and call apic_eoi themselves.
 * Interrupts of devices are routed by cell ioapic, those between CPUs are sent by cell ipi; version 1 of this cell,
 * apic_v1, is all of these in one. All functions may be called from any context. */
#pragma once
#include "cells/cell.h"

enum apic_timer_mode { APIC_TIMER_ONCE, APIC_TIMER_PERIODIC };

/* Enables the local APIC of the running CPU. The boot CPU's is enabled by init. */
void apic_start_cpu(void);
/* Ends the interrupt that is being handled. */
void apic_eoi(void);
/* Ends all interrupts that the running CPU's local APIC counts as being handled: after a fault in a handler, or in the
 * entry before it. Interrupts off. */
void apic_end_interrupts(void);
/* The highest vector that the running CPU's local APIC counts as being handled; 0: none. */
unsigned apic_in_service(void);
/* The APIC id of the running CPU. */
uint32_t apic_id(void);

/* Words for apic_command: to a vector, NMI, INIT, STARTUP (to which the number of a page is added); and to whom. */
#define APIC_NMI     0x400
#define APIC_INIT    0x4500
#define APIC_STARTUP 0x4600
#define APIC_OTHERS  0xc0000 /* all CPUs but this one, whatever the id */
/* Sends an interrupt to the CPU of that APIC id: for cell ipi, which makes the words. */
void apic_command(uint32_t id, uint32_t word);

/* Starts the timer of the running CPU, which counts down from `ticks` at the bus clock divided by 16. 0 stops it.
 * Version 1 knows one period only, whatever `ticks` is. */
void apic_timer_set(enum apic_timer_mode mode, unsigned vector, uint32_t ticks);
/* What it has left to count. */
uint32_t apic_timer_left(void);

/* Writes the APIC ids of the usable CPUs, the running one included. Returns how many, at most `max`. */
size_t apic_processors(uint32_t *ret_ids, size_t max);

/* ---- not in version 1 ---- */

/* What else the local APIC interrupts its CPU for. */
enum apic_source { APIC_THERMAL, APIC_PERFORMANCE, APIC_ERROR };
/* Has this source of the running CPU interrupt as `vector`; 0: no more. ERR_RANGE: no vector for that. */
enum err apic_source_set(enum apic_source source, unsigned vector);
/* The errors that the running CPU's local APIC has noted since the last call (Intel SDM volume 3, §11.5.3). */
uint32_t apic_errors(void);
