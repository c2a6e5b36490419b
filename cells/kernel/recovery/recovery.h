/* The recovery cascade (thesis §8.2.2), above the unwinder's cleanup: restart the failed task, reload a cell
 * whose text is damaged or that faults again, reload it with fresh data, reboot. Damage and lost tasks are seen to in the
 * failed task itself, as soon as its stack is empty; the rest runs in the reaper's. */
#pragma once
#include "cells/cell.h"
#include "guest/abi/arena.h"

/* Whether the loaded bytes of a section that has a hash are still those that the loader wrote. */
bool recovery_section_intact(uint32_t section);
/* The first section of the cell that is not; 0: all are intact. */
uint32_t recovery_damage(uint32_t cell);
