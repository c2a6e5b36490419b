/* Which cells' data are wrong, so that they are to blame for a fault that other cells had. Private to the recovery
 * cell. */
#pragma once
#include "cells/cell.h"
#include "cells/core/loader/loader.h"
#include "guest/abi/arena.h"

#define BLAMED_MAX 4

/* Has the static data of `cell` (none: nothing), of the cells that had frames on the stack, and of all that they import
 * looked at, and what is reached from there (cells/recover/check). Not the data of the foundation, which nobody can
 * replace. Logs each datum that is wrong as damage, and writes the cells whose it is, each once. Returns how many. May
 * sleep for some milliseconds. */
size_t blame_data(const struct arena_fault *fault, struct cell_ref cell, struct cell_ref ret_cells[BLAMED_MAX])
    NEEDS(loader_lock);
