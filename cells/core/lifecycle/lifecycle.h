/* What becomes of a cell after it was loaded: CELL_LOADING, CELL_LIVE, CELL_OLD, freed (enum arena_cell_state). Not
 * part of the image: loading the first cell takes none of it. Nothing here looks at stacks: the caller knows whether a
 * task is inside a cell (cells/evolve/reap). */
#pragma once
#include "cells/cell.h"
#include "cells/core/loader/loader.h"

/* Registers object bytes as a pristine object: copies them into frames of their own and checks the copy. On failure
 * nothing is kept and ret_object is untouched. */
enum err lifecycle_keep_object(const void *data, size_t bytes, struct object_ref *ret_object, struct report *report);

#define LIFECYCLE_LABEL_BYTES 64
/* Writes how a cell of a namespace is named for people: CELL of the root, NAMESPACE/CELL of others; cut. */
void lifecycle_label(struct namespace_ref namespace_, const char *cell, char ret_label[LIFECYCLE_LABEL_BYTES]);
/* Writes the event of a cell: its index, version and label. */
void lifecycle_event(enum event_kind kind, struct cell_ref cell);

/* LOADING -> LIVE: the cell's exported symbols become visible. */
void lifecycle_publish(struct cell_ref cell);
/* LIVE -> LOADING: undoes lifecycle_publish. */
void lifecycle_conceal(struct cell_ref cell);
/* LIVE -> OLD: the cell's exported symbols vanish. */
void lifecycle_retract(struct cell_ref cell);
/* OLD -> LIVE: undoes lifecycle_retract, also one that a fault ended half-way. */
void lifecycle_restore(struct cell_ref cell);

/* Makes an absence (CELL_ABSENT): the namespace is to lack cell `name`. It is CELL_OLD so far, which says nothing, and
 * is freed like an old cell if it stays so. ERR_FULL: ret_absence is untouched. */
enum err lifecycle_new_absence(struct namespace_ref namespace_, const char *name, struct cell_ref *ret_absence,
                               struct report *report);
/* OLD -> ABSENT, ABSENT -> OLD. */
void lifecycle_turn_absence(struct cell_ref absence);
/* Frees an absence that is CELL_OLD. */
void lifecycle_free_absence(struct cell_ref absence);

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
