/* Looks whether a pointer to a function, in static data or in what that leads to by its types, would be left dangling by a
 * plan. Internal to the swap cell. */
#pragma once
#include "cells/kernel/swap/plan.h"

/* ERR_MISSING_SYMBOL: one leads to a function that the new cells lack; ERR_WRONG_TYPE: to one that has another type there.
 * Says which. Objects come and go meanwhile; what is not mapped any more is passed over. For who has the loader's turn. */
enum err pointers_check(const struct plan *plan, struct loader_detail *detail);
