/* The tick of each CPU, from its local APIC timer, and the measured rate of the time-stamp counter. Init starts the
 * boot CPU's tick. It knows nothing of tasks: the scheduler binds a function that is called at each tick. */
#pragma once
#include "cells/cell.h"

#define TIMER_HZ 100 /* ticks a second */

/* Binds what each CPU calls at its tick: in the interrupt handler, interrupts off. */
enum err timer_bind_tick(void (*tick)(void));
/* Binds what each CPU calls there before, with what its tick has interrupted, which it may change. Several may. */
struct trap_frame;
enum err timer_bind_look(void (*look)(struct trap_frame *frame));

/* Starts the tick of the running CPU. */
void timer_start_cpu(void);
/* Busy-waits. */
void timer_delay_us(unsigned us);
