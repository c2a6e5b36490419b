/* Which cells took over from which. Internal to the swap cell. */
#pragma once
#include "cells/evolve/plan/plan.h"

/* Gives the swap a number of its own. */
void heirs_begin(void) NEEDS(loader_lock);
/* Remembers that the plan's new cells took over from its old ones. Call when the swap can no longer be undone. */
void heirs_note(const struct plan *plan) NEEDS(loader_lock);
