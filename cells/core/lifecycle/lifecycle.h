/* What becomes of a cell after it was loaded: CELL_LOADING, CELL_LIVE, CELL_OLD, freed (enum arena_cell_state). Not
 * part of the image: loading the first cell takes none of it. Nothing here looks at stacks: the caller knows whether a
 * task is inside a cell (cells/evolve/reap). */
#pragma once
#include "cells/cell.h"
#include "cells/core/loader/loader.h"

/* Registers object bytes as a pristine object: copies them into frames of their own and checks the copy. On failure
 * nothing is kept and ret_object is untouched. */
enum err lifecycle_keep_object(const void *data, size_t bytes, struct object_ref *ret_object, struct report *report);

/* LOADING -> LIVE: the cell's exported symbols become visible. */
void lifecycle_publish(struct cell_ref cell);
/* LIVE -> LOADING: undoes lifecycle_publish. */
void lifecycle_conceal(struct cell_ref cell);
/* LIVE -> OLD: the cell's exported symbols vanish. */
void lifecycle_retract(struct cell_ref cell);
/* OLD -> LIVE: undoes lifecycle_retract, also one that a fault ended half-way. */
void lifecycle_restore(struct cell_ref cell);

/* Frees staged cells that are not initialized, and what was loaded for them and nobody else uses. */
void lifecycle_unstage(const struct cell_ref *staged, size_t count);

/* Runs the cell's done function, unless another version has taken over, and frees the cell: records, edges, memory,
 * object. Takes the loader lock. ERR_BUSY: an edge from another cell refers to it, or its done function refuses.
 * ERR_NOT_SWAPPABLE: it is part of the image. ERR_NOT_FOUND: it is freed already. */
enum err lifecycle_unload(struct cell_ref cell);
/* The same for cells that may refer to each other. Frees those that no other cell refers to and that do not refuse, and
 * returns how many; the others are behind them in `cells`. */
size_t lifecycle_unload_all(struct cell_ref *cells, size_t count);

/* The address of an exported symbol of a live cell, as namespace `namespace_` sees it, or the root namespace: a cell
 * there hides its parent's cell of the same name altogether. ERR_NOT_FOUND: ret_address is untouched. */
enum err lifecycle_symbol(const char *name, uint64_t *ret_address);
enum err lifecycle_symbol_in(struct namespace_ref namespace_, const char *name, uint64_t *ret_address);
