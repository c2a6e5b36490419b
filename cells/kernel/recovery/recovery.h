/* The recovery cascade (thesis §8.2.2), above the unwinder's cleanup: restart the failed task, reload a cell whose text
 * is damaged or that faults again, reload it with fresh data, reboot. Damage and lost tasks are seen to in the failed
 * task itself, as soon as its stack is empty; the rest runs in the reaper's. It has no functions for others; loading it
 * starts it. */
#pragma once
#include "cells/cell.h"
