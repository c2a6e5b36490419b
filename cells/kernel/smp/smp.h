/* Brings up the application processors, one after the other (Intel SDM volume 3, §9.4.4). What they do then is the
 * caller's business. */
#pragma once
#include "cells/cell.h"

/* Every other usable processor gets a stack, its tables, its local APIC and its tick, a record in the arena, and calls
 * entry(index), interrupts off, which must not return. Comes back when all have called it. ERR_TIMEOUT: one did not
 * answer, and none was tried after it. */
enum err smp_start(void (*entry)(unsigned index));
