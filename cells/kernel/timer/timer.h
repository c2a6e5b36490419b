/* The tick of each CPU, from its local APIC timer, and the measured rate of the time-stamp counter. Knows nothing of
 * tasks: the scheduler is told of each tick. */
#pragma once
#include "cells/cell.h"

#define TIMER_HZ 100

/* `tick` is called on every CPU, TIMER_HZ times a second, inside of the interrupt handler, interrupts off. */
enum err timer_bind_tick(void (*tick)(void));

void timer_start_cpu(void);       /* starts the tick of the running CPU; the boot processor's by init */
void timer_delay_us(unsigned us); /* waits, doing nothing else */
