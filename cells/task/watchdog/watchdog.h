/* A CPU that hangs becomes a fault: one that has had no tick for long, whatever keeps its interrupts off, is
 * interrupted by an NMI, and fails at the instruction that it has reached. The fault is of kind FAULT_HANG, and is
 * logged, blamed and unwound like any other. A CPU that has its interrupts on and still gets none is deaf: its local
 * APIC waits for the end of an interrupt, or its timer stands. That is put right, and nobody fails.
 *
 * Who sends NMIs: the PIT or the HPET to the first CPU, 18 times a second, and each CPU, at its ticks and at such an
 * NMI, to those whose ticks stand still; and a CPU that waits for an answer (cells/task/ipi/await.h) to the one that
 * owes it.
 * Who judges: the CPU itself, by the NMIs that have reached it. Between two of them little time counts, so that a CPU
 * that the host does not run, or a machine that was stopped, does not seem to hang.
 *
 * What counts as progress: ticks, and that it looks again at a lock that it waits for, since a lock has a limit of
 * its own; but while another CPU waits for this one nothing does but an answer. A CPU that waits for another one has
 * four times as long: first the other one fails. A parked CPU does not hang, and a function that has a deadline has
 * that.
 *
 * After CPU_HANG_MS a CPU hangs; after N ms with `watchdog=N` on the guest's command line, never with `watchdog=no`. */
#pragma once
#include "cells/cell.h"

struct trap_frame;

/* ---- for the fault cell ---- */

enum watchdog_found { WATCHDOG_NOTHING, WATCHDOG_HANG, WATCHDOG_DEAF };
/* At the fault by which the watchdog ends what a CPU runs: what it has found; `frame` is then where the CPU was. */
enum watchdog_found watchdog_take(struct trap_frame *frame);
/* Says for how long the running CPU had no tick, and which CPU waits for it. */
void watchdog_describe(char *text, size_t bytes);
/* Ends the interrupts that the local APIC of the running CPU waits for, and starts it and its timer again. Says in
 * `text` what was wrong. Returns the vector of the interrupt that nobody had ended; 0: there was none. Interrupts
 * off. */
unsigned watchdog_hear(char *text, size_t bytes);
