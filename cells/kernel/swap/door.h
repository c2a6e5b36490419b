/* Doors of functions that are to be replaced: a closed one has callers wait before the function's first instruction, so that a
 * cell that is called all the time becomes empty. For functions that may be begun anew (task/call.h): those are never
 * called where one must not sleep. Those that look at stacks
 * go by the plan's last stack_look. Internal to the swap cell. */
#pragma once
#include "cells/cell.h"
#include "cells/kernel/swap/plan.h"

/* Others parked: closes those of all calls that are under way into the old cells, while roll_back_hold is held. */
void door_close_all(const struct plan *plan);
/* Others parked: opens all. Who waits goes on when roll_back_hold is let go: in the new version, if there is one by then. */
void door_open_all(void);
bool door_any(void);
/* Others parked: whether a task has come to a closed door and not yet noted whose it is. What it has on its stack then, an
 * address amid a function, is none that a swap could lead to the new version. */
bool door_is_crossed(const struct plan *plan);
