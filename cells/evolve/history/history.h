/* Pristine objects of cells that have been replaced, kept so that a namespace can be taken back to what it consisted
 * of: a commit is a swap in the log (guest/abi/arena.h) that took effect in a namespace that is still there.
 *
 * An object that no live cell was made from stays as long as such a swap names it, within the bound; those that newer
 * swaps do not name are dropped first. Of several with the same contents one stays. */
#pragma once
#include "cells/cell.h"

/* How many objects are kept, and in how many bytes of frames: those of the archive take none. */
struct history_bound {
    uint32_t objects;
    uint64_t bytes;
};
extern struct history_bound history_bound;

/* Marks which objects are kept and drops the others. Call after each swap, and when a namespace has ended, before cells
 * without references are freed, since their objects are freed with them. Takes the loader lock. */
void history_keep(void);
/* The object of cell `name` with that hash, kept or in use, or none. Under the loader lock. */
struct object_ref history_find(const char *name, uint64_t hash);
