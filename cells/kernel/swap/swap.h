/* Swaps a cell for another version, or for a fresh copy of itself, as a transaction (thesis §8.1):
 * stage in isolation, verify a plan, commit while other CPUs are parked, free the old one when nothing holds it.
 *
 * A user of the old cell is an edge that leads to it. Each must find, in the new cell, a symbol of the same name and
 * type that it may use; what is bound without being exported is found by its section's name. Static data of the same
 * name, size and type is copied, pointers into the old cell are led into the new one; other data is the transfer
 * function's job. Frames in functions that did not change go on in the new cell; those in changed ones end in the old
 * one, on the new one's data.
 *
 * Init of the new cell runs only when its data starts anew. Callers are tasks; never from an interrupt handler. */
#pragma once
#include "cells/cell.h"
#include "guest/abi/arena.h"

enum swap_flags {
    SWAP_DRY_RUN = 1,
    SWAP_FRESH_DATA = 2 /* do not carry static data over: it may be corrupt */
};

/* Replaces the live cell `name` by `object`. Fills in everything of `report` but its seq. An object that no cell has
 * been made from is dropped when the swap is refused. */
enum err swap_cell(const char *name, uint32_t object, unsigned flags, struct arena_completion *report);
/* The same from the cell's own pristine object. */
enum err swap_reload(const char *name, unsigned flags, struct arena_completion *report);
/* Frees old cells that no edge, task, frame or word of memory refers to, after leading what it can to the cell that took
 * over; called now and then by the reaper. Number still held. */
size_t swap_reap(void);
