/* What interrupts the CPU on which a deadline's watch began, after a while, although its interrupts are off. It is
 * there for one CPU at a time. Private to the deadline cell. */
#pragma once
#include "cells/cell.h"

/* Finds out what this machine has for that. The usual one is there without: the PIT. */
void counter_init(void);
/* Has the NMI go to the CPU of that APIC id; none before the first counter_start. */
void counter_route(uint32_t id);
/* One NMI in `us` microseconds, 54000 at most; the one before does not come any more, or comes too. From any context,
 * an NMI too. When two CPUs call it, one of them does. */
void counter_start(uint32_t us);
/* Whether this machine has what sends the NMI by itself. */
bool counter_exists(void);
/* No more NMIs. */
void counter_stop(void);
/* True, once for each counter_start, when its time is over and there is nothing in this machine that sends the NMI:
 * whoever asks does. From any context. */
bool counter_is_due(void);
