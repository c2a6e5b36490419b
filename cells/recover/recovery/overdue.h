/* Notices that recovery itself does not get on, or that tasks do not and nothing was logged: from the tick, since the
 * tasks that would do so otherwise are what may be lost. Overdue are
 *
 *   a fault        whose record has stayed open for a tenth of a second or more
 *                  or, in an interrupt handler, until the next tick
 *   a task         that could run, but no queue holds it; that is queued and does not run, though a CPU that may run it
 *                  is idle, or for two seconds; that sleeps although its time is up, or without a time-out and in no
 *                  queue
 *   a lock         that is held although interrupts are on: what has held it is over, and nothing is preempted any more
 *   the CPU's task if the stack is that of another one
 *
 * The first two have the text of the foundation mended and the queues made again (audit.h), until there is nothing
 * overdue, each time after twice as long as the time before; the others are put right at the tick that finds them.
 * Time counts by ticks: on a host that does not run the guest nothing is overdue. Private to the recovery cell. */
#pragma once
#include "cells/cell.h"

/* Has each tick look, from now on. */
enum err overdue_init(void);
