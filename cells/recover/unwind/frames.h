/* Whether a fault is in an interrupt handler, which the walk that has logged it has seen already. Private to the unwind
 * cell. */
#pragma once
#include "cells/recover/unwind/walk.h"

/* Whether an interrupt entry lies between where `walk` begins and the end of the stack. If the last complete
 * unwind_walk on this CPU began with the same trap frame, what it has seen is the answer. */
bool frames_in_interrupt(const struct trap_frame *from, struct walk walk);
