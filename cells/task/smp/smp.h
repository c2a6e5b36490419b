/* Starts the application processors, one after the other (Intel SDM volume 3, §9.4.4). Init makes the boot CPU's
 * record. */
#pragma once
#include "cells/cell.h"

/* Starts every other usable CPU: with a stack, its tables, local APIC, tick and record in the arena. Each calls
 * entry(index), interrupts off, which must not return. Returns when all have done so. Call once, on the boot CPU.
 * ERR_TIMEOUT: one did not answer. ERR_NOMEM. After an error no further CPU is started; those that have started run. */
enum err smp_start(void (*entry)(unsigned index));
