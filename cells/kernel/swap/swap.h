/* Swaps O cells for N others, for other versions of them or for fresh copies, as a transaction (thesis §8.1): stage in
 * isolation, verify a plan, commit while other CPUs are parked, free the old ones when nothing holds them. Until the
 * commit's last step everything can be taken back, and is when a step fails or faults.
 *
 * A user of an old cell is an edge that leads to it. Each must find, in one of the new cells, a symbol of the same name
 * and type that it may use; what is bound without being exported is found by its section's name. Static data of the same
 * name, size and type is copied, pointers into the old cells are led into the new ones; other data is moved by
 * a recipe, or is the transfer function's job. Frames in functions that did not change go on in the new cells; those in changed ones end in the old
 * ones, on the new ones' data.
 *
 * Init of a new cell runs only when its data starts anew. Callers are tasks; never from an interrupt handler. */
#pragma once
#include "cells/cell.h"
#include "guest/abi/arena.h"
#include "guest/abi/swap_set.h"

enum swap_flags {
    SWAP_DRY_RUN = 1,
    SWAP_FRESH_DATA = 2 /* do not carry static data over: it may be corrupt */
};

struct preview;

struct swap_order {
    uint32_t namespace_;
    unsigned flags; /* enum swap_flags */
    size_t olds, objects;
    uint32_t old[SWAP_SET_MAX];    /* live cells of the namespace */
    uint32_t object[SWAP_SET_MAX]; /* of cells that are not live, or among the old */
    /* A struct recipe_set (guest/abi/recipe.h), borrowed, which nobody else writes; NULL: none. */
    const void *recipes;
    size_t recipe_bytes;
    struct preview *preview; /* of a dry run; borrowed; NULL: nobody wants to see the plan */
};

/* Fills in everything of `report` but its seq. Objects that no cell has been made from are dropped when the swap is
 * refused. */
enum err swap_cells(const struct swap_order *order, struct arena_completion *report);
/* Replaces the live cell `name` by `object`, which is of a cell of that name. */
enum err swap_cell(uint32_t namespace_, const char *name, uint32_t object, unsigned flags,
                   struct arena_completion *report);
/* The same from the cell's own pristine object. */
enum err swap_reload(uint32_t namespace_, const char *name, unsigned flags, struct arena_completion *report);
/* Puts into the log what was done otherwise than by swap_cells, and how it went; new_ is a cell for each object. */
void swap_log(const struct swap_order *order, const uint32_t *new_, const struct arena_completion *report);
/* Frees old cells that no edge, task, frame or word of memory refers to, after leading what it can to the cells that took
 * over; called now and then by the reaper. Number still held. */
size_t swap_reap(void);
/* Frees cells that may lead to each other, unless something else refers to them; how many. These stand first in `cells`
 * then. */
size_t swap_free(uint32_t *cells, size_t count);

/* Called at each step of a commit, numbered from 1, the other CPUs parked: for tests, which make it fault. May be NULL. */
extern void (*swap_step_hook)(unsigned step);
