/* Repairs a damaged cell in place: text and read-only data from its pristine object and its edges, and bound
 * pointers (edge_bind) from their edges. No other writable data is repaired. For the foundation: the cells that
 * recovery itself needs, which could not be reloaded while they are damaged; and for any cell for whose reload there is
 * no room. It allocates nothing, takes no lock,
 * and calls no other cell, since that may be the one that it mends. May be called in an exception handler. */
#pragma once
#include "cells/cell.h"
#include "guest/abi/arena.h"

/* Mends every section of `cell` that differs from what the loader wrote. Returns how many sections and pointers it
 * has mended. A section whose object or edges are damaged too is left as it is, and not counted. */
unsigned mend_cell(struct cell_ref cell);
/* Whether the cell says CORE(). Also true when its record is damaged. */
bool mend_is_core(struct cell_ref cell);
/* Whether the cell says CORE() or FOUNDATION(), so that recovery needs it. Also true when its record is damaged. */
bool mend_is_needed(struct cell_ref cell);
