/* Clocks of a known rate for machines whose PIT does not count: the HPET, the timer of ACPI's power management, the TSC
 * where CPUID says its rate. The timer cell loads this one when it needs it. */
#pragma once
#include "cells/cell.h"

/* Counts the TSC and the local APIC's timer for 1/hz of a second, by the first clock that counts; the timer
 * interrupts at `vector` if `hz` is so low that it runs out. Says on the serial line which clock that is.
 * ERR_UNSUPPORTED: none does, and the serial line says what was tried. */
enum err calibration_measure(unsigned vector, unsigned hz, uint64_t *ret_tsc, uint32_t *ret_ticks);
