/* Waiting until no frame is left in the old cells, for swaps that change types (thesis §8.1, §9.1.1). Internal to the swap
 * cell. */
#pragma once
#include "cells/cell.h"
#include "cells/kernel/swap/plan.h"

enum quiet {
    QUIET_REACHED, /* no task is inside of an old cell, in a function that changed */
    QUIET_INSIDE,  /* one is, and is named */
    QUIET_UNKNOWN, /* no time was left to look at all: once more, without waiting for anybody */
};

/* Forgets what was found about tasks for another plan. */
void quiet_begin(void);
/* Others parked, and their stacks looked at (stack_look), those of all tasks. Tasks that sleep inside, in a call that may be
 * begun anew, are sent back to before it; they do so, and the others may come out, when the CPUs go on. Frames are walked for
 * about `walk_ns`; what is found of a task holds until it has run again. */
enum quiet quiet_look(const struct plan *plan, uint64_t walk_ns, struct loader_detail *detail);
