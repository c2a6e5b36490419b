/* Which cells a cell that fails again and again imports from: their data may be the cause. Private to the recovery
 * cell. */
#pragma once
#include "cells/cell.h"
#include "cells/core/loader/loader.h"
#include "guest/abi/arena.h"

#define IMPORTS_MAX 32

/* Whether the cell is one of the first `count` of `cells`. */
bool imports_has(const struct cell_ref *cells, size_t count, struct cell_ref cell);

/* Writes the live cells that `cell` reaches by at most `depth` imports and that have static data, nearer ones first.
 * Not the foundation, whose data nobody can replace, nor what is reached through it only. Returns how many; at most
 * IMPORTS_MAX cells are looked at. */
size_t imports_with_data(struct cell_ref cell, unsigned depth, struct cell_ref ret_cells[IMPORTS_MAX])
    NEEDS(loader_lock);
/* Writes the live ones of `cells`, and all that they reach by imports, with or without static data, in the same order
 * and with the same exceptions. Returns how many; at most IMPORTS_MAX. */
size_t imports_all(const struct cell_ref *cells, size_t count, struct cell_ref ret_cells[IMPORTS_MAX])
    NEEDS(loader_lock);
