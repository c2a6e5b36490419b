/* How many instructions the unwinder takes, for a machine whose clock counts them. Private to test_unwind. */
#pragma once
#include "tests/guest/fixtures/testing/testing.h"

/* Walks the stacks of all tasks that do not run, and a deep one of this cell, and has a deep one unwound after a fault.
 * Prints what a frame costs, and fails when that is more than the aim. */
void pace(const struct testing *test);
