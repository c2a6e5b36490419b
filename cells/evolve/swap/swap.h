/* Swaps O cells for N others, for other versions of them or for fresh copies, as a transaction (thesis §8.1): stage in
 * isolation, verify a plan, commit while other CPUs are parked, free the old ones when nothing holds them. Until the
 * commit's last step everything can be undone, and is undone when a step fails or faults.
 *
 * Each edge to an old cell must find, in one of the new cells, a symbol of the same name and type that it may use; what
 * is bound without being exported is found by its section's name. Static data of the same name, size and type is
 * copied, and pointers into the old cells are redirected; other data is moved by a recipe or by the transfer function.
 * Frames in functions that did not change are resumed in the new cells; those in changed ones end in the old ones, on
 * the new ones' data.
 *
 * A new cell is initialized only when its data is fresh. Callers are tasks; never from an interrupt handler. */
#pragma once
#include "cells/cell.h"
#include "cells/core/loader/loader.h"
#include "cells/core/report/report.h"
#include "guest/abi/arena.h"
#include "guest/abi/swap_set.h"

enum swap_flags {
    SWAP_DRY_RUN = 1,
    SWAP_FRESH_DATA = 2 /* do not carry static data over: it may be corrupt */
};

struct plan;
struct preview;

struct swap_order {
    struct namespace_ref namespace_;
    unsigned flags;       /* enum swap_flags */
    uint32_t transfer_ms; /* how long each TRANSFER function may take; 0: as usual */
    size_t olds, objects;
    struct cell_ref old[SWAP_SET_MAX];      /* live cells of the namespace */
    struct object_ref object[SWAP_SET_MAX]; /* of cells that are not live, or among the old */
    /* Live cells of the namespace's ancestors, which stay as they are: for the namespace alone, cells from the last
     * `besides` objects take their place, under their names and with fresh data. Borrowed. */
    const struct cell_ref *hidden;
    size_t hiddens, besides;
    /* Live cells of the ancestors, which stay as they are, and which the namespace inherits in the place of old cells
     * of the same names. Those have no static data: it would be lost. Borrowed. */
    const struct cell_ref *inherited;
    size_t inheriteds;
    /* Absences of the namespace (CELL_ABSENT): those of state CELL_OLD take effect with the commit, the others end with
     * it and are CELL_OLD then. Borrowed. */
    const struct cell_ref *absence;
    size_t absences;
    /* For namespace_swap, which works out all of the above: for the last so many objects the parent's cell is to be
     * inherited, if it is from the same object. The namespace's own one is kept, or swapped for the object, where it
     * has static data, or where the parent's depends on what is another one in the namespace. */
    size_t inherits;
    /* A struct recipe_set (guest/abi/recipe.h), borrowed, which nobody else writes; NULL: none. */
    const void *recipes;
    size_t recipe_bytes;
    struct preview *preview; /* of a dry run; borrowed; NULL: nobody wants to see the plan */
};

/* Carries out the order. Clears the report and fills it in. Any error of a step, that of a TRANSFER function too,
 * refuses the swap; ERR_BUSY also means that old cells got new users in every attempt, ERR_TIMEOUT that types change
 * and a task stayed in an old cell. When a swap is refused, nothing has changed, and objects that no cell was made from
 * are dropped. An error of an init function is returned after the commit: the swap has taken effect. A TRANSFER or INIT
 * function that exceeds its deadline ends by a fault, which unwinds the caller too, like one that faults by itself. */
enum err swap_cells(const struct swap_order *order, struct report *report);
/* Replaces the live cell `name` by `object`, which is of a cell of that name. */
enum err swap_cell(struct namespace_ref namespace_, const char *name, struct object_ref object, unsigned flags,
                   struct report *report);
/* Replaces it by a copy from its own pristine object. */
enum err swap_reload(struct namespace_ref namespace_, const char *name, unsigned flags, struct report *report);
/* The same, without looking for a name. */
enum err swap_reload_cell(struct cell_ref cell, unsigned flags, struct report *report);
/* Logs a change that was not made by swap_cells, with its result; `new_` has a cell for each object. */
void swap_log(const struct swap_order *order, const struct cell_ref *new_, const struct report *report);

/* Has a staged cell that nobody else uses freed when nothing refers to it any more, like an old cell which the live one
 * `heir`, of the same name, has replaced. */
void swap_retire_copy(struct cell_ref copy, struct cell_ref heir) NEEDS(loader_lock);

/* ---- for the reap cell; each needs the loader lock ---- */

/* The cells that took over from the `olds` cells `old`, in ret_heirs; returns how many. */
size_t swap_heirs(const struct cell_ref *old, size_t olds, struct cell_ref ret_heirs[SWAP_SET_MAX]) NEEDS(loader_lock);
/* Redirects words of memory and stacks that are addresses in the plan's old cells, where these have a pair of the same
 * type or bytes; does nothing when memory is out. */
void swap_redirect_words(const struct plan *plan) NEEDS(loader_lock);
/* Whether a task, a frame or a word of memory refers to an old cell of the plan; edges are not looked at. */
bool swap_is_referenced(const struct plan *plan) NEEDS(loader_lock);

/* Called at each step of a commit, numbered from 1, the other CPUs parked: for tests, which make it fault. May be
 * NULL. */
extern void (*swap_step_hook)(unsigned step);
