/* Waiting until no frame is left in the old cells, for swaps that change types (thesis §8.1, §9.1.1). Internal to the swap
 * cell. */
#pragma once
#include "cells/cell.h"
#include "cells/kernel/swap/plan.h"

/* Others parked: whether no task is inside of an old cell, in a function that changed. Those that sleep there, in a call that may be begun anew, are
 * sent back to before it; they do so, and the others may come out, when the CPUs go on. Names one that is inside. */
bool quiet_reached(const struct plan *plan, struct loader_detail *detail);
