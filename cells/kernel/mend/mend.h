/* Puts right, where it stands, what of a cell has one right value: text and constants, from its pristine object and its
 * edges, and pointers that were bound (loader_bind), from their edges. For the cells that recovery itself stands on, which
 * could not be reloaded while they are broken. Allocates nothing, takes no lock, and calls no other cell, since that may be what it mends;
 * usable in an exception handler. Other writable data is left alone. */
#pragma once
#include "cells/cell.h"

/* Mends every section of `cell` whose bytes are not those that the loader wrote. How many were, and how many pointers; a
 * section that does not fit its hash after that either (its object or an edge is damaged too) is left as it is and not
 * counted. */
unsigned mend_cell(uint32_t cell);
/* Whether the nano_core consists of this cell and others, wherever it has been loaded since. */
bool mend_is_core(uint32_t cell);
/* Whether recovery stands on this cell. */
bool mend_is_needed(uint32_t cell);
