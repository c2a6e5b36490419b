/* Gates, for the other files of the quiescence cell. Internal to it. */
#pragma once
#include "cells/evolve/quiescence/quiescence.h"

/* Whether a task has entered a closed gate and not yet noted which one. It then has an address within a function on its
 * stack, which has no counterpart in the new version. Needs parked CPUs. */
bool gate_is_crossed(const struct stack_references *found) NEEDS(loader_lock);
