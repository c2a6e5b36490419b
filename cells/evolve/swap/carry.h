/* Static data from the old cells to the new ones. Internal to the swap cell. */
#pragma once
#include "cells/core/report/report.h"
#include "cells/evolve/plan/plan.h"

/* Copies what the plan says, redirects the copied pointers, runs the new cells' transfer functions. The new cells are
 * not visible yet, so nothing needs to be undone after an error: that of a transfer function, or of a pointer that
 * cannot be bound. Each transfer function has `limit_ms`; 0: the usual time (deadline.h). */
enum err carry_data(const struct plan *plan, uint32_t limit_ms, struct report *report);
