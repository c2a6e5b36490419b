/* Interrupts from CPU to CPU (Intel SDM volume 3, §11.6). A CPU is named by its APIC id (cpu_get(i)->apic_id). All
 * functions may be called from any context. */
#pragma once
#include "cells/cell.h"

/* Sends interrupt `vector`, the interrupt that no CPU can keep off, INIT or STARTUP to a CPU. STARTUP has it enter real
 * mode at `phys`, a page below 1 MiB. */
void ipi_send(uint32_t id, unsigned vector);
void ipi_send_nmi(uint32_t id);
void ipi_send_init(uint32_t id);
void ipi_send_startup(uint32_t id, uint64_t phys);

/* ---- not in apic_v1 ---- */

/* Sends interrupt `vector` to every CPU but the running one, by one command. */
void ipi_send_others(unsigned vector);
