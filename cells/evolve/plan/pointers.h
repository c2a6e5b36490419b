/* Searches for pointers to functions that a swap would leave dangling. Internal to the plan cell. */
#pragma once
#include "cells/evolve/plan/plan.h"

/* Searches static data, and what it reaches along the type graph. ERR_MISSING_SYMBOL: a pointer refers to a function
 * that the new cells lack; ERR_WRONG_TYPE: to one that has another type there. The report names it. Heap blocks are
 * allocated and freed meanwhile; memory that is no longer mapped is skipped. Needs the loader lock. */
enum err pointers_check(const struct plan *plan, struct report *report);
