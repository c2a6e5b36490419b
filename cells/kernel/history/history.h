/* Pristine objects of cells that have been replaced, kept so that a namespace can be led back to what it was made of: a
 * commit is a swap in the log (guest/abi/arena.h) that took effect in a namespace that is still there.
 *
 * An object that no live cell was made from stays as long as such a swap names it, within the bound; those go first that
 * newer swaps do not name. Of several with the same contents one stays. */
#pragma once
#include "cells/cell.h"

/* How many objects are kept, and in how many bytes of frames: those of the archive take none. */
struct history_bound {
    uint32_t objects;
    uint64_t bytes;
};
extern struct history_bound history_bound;

/* Decides anew which objects stay. After each swap, and when a namespace has ended, before the cells that are out of use
 * are freed, since their objects go with them. Takes the loader's turn. */
void history_keep(void);
/* The object of cell `name` with that hash, kept or in use; 0: none is here any more. Under the loader's turn. */
uint32_t history_find(const char *name, uint64_t hash);
