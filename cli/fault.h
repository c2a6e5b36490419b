/* One fault, told from where it came to what became of it. */
#pragma once
#include "cli/reading.h"

/* Prints the fault with number `seq`, as text or JSON. A failure was reported. */
enum cli_status fault_print(const struct reading *reading, uint64_t seq);
