/* Static data from the old cell to the new one. Internal to the swap cell. */
#pragma once
#include "cells/kernel/swap/plan.h"

/* Copies what the plan says, points it into the new cell, runs the new cell's transfer function. The new cell is not
 * visible yet, so nothing needs to be taken back after an error. */
enum err carry_data(const struct plan *plan, uint64_t *ret_bytes, struct loader_detail *detail);
/* Whether the new cell's transfer function is to run. A reload of the same object has carried everything. */
bool carry_needs_transfer(const struct plan *plan, uint32_t new_);
