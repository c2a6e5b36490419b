/* Parks all other CPUs in a loop of the nano_core's text with interrupts off, for the commit of a swap. */
#pragma once
#include "cells/cell.h"

struct park_guard {
    uint64_t rflags, started_ns;
    bool held; /* false: only the interrupt flag is put back */
};
/* Returns when every other online CPU stands still; keep it short. From a task, no spin lock held. */
struct park_guard park_all(void);
void park_guard_end(struct park_guard *guard); /* lets them go on; they serialize (cpuid) before they do */
