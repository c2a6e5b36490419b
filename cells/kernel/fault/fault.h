/* Exceptions and panics: each is written into the arena's fault log, then what was running is unwound. Takes no lock and
 * allocates nothing, since the faulting code may hold any lock; what it says to people is left to the recovery cell. */
#pragma once
#include "cells/cell.h"
#include "guest/abi/arena.h"

#define FAULT_CELLS 16

/* The record of fault `seq`; NULL: never written, or written over since. */
struct arena_fault *fault_record(uint64_t seq);

/* The loadable cells that had a frame on the stack, innermost first, each once. How many. */
unsigned fault_cells(uint64_t seq, uint32_t ret_cells[FAULT_CELLS]);
/* The one of them that the fault is put down to; 0: none. */
uint32_t fault_blamed(uint64_t seq);
