/* Namespaces: sets of cells that live side by side (thesis §8.3, figure 8.1). A child has every cell of its parent that
 * it neither holds itself nor is to lack, so that a branch costs one record. A cell that is changed in a child is
 * copied on write: the other version is loaded for the child alone, and with it, from their pristine objects, those
 * inherited cells that depend on it, so that tasks of the child reach their own version through their own copies. All
 * else stays shared.
 *
 * A cell with static data or an init function is a singleton, unless it says PER_NAMESPACE(): it is never copied,
 * uses the cells of its own namespace whoever calls it, and cannot be changed in a child.
 *
 * Functions that load take the loader lock; from tasks only, never from an interrupt handler. */
#pragma once
#include "cells/cell.h"
#include "cells/core/loader/loader.h"

struct report;
struct swap_order;

struct namespace_ref namespace_find(const char *name); /* one that is live, or none */

struct namespace_options {
    uint32_t flags; /* NAMESPACE_* of the arena; those of the parent are added */
    uint32_t cpu;   /* where its tasks run, index + 1; 0: where those of the parent do */
};

/* A child of `parent`, with nothing of its own yet. Names are of a-z, 0-9 and _, shorter than 32 characters.
 * ERR_INVALID, ERR_EXISTS, ERR_RANGE (no such CPU), ERR_UNSUPPORTED (no SIMD), ERR_FULL. `options` may be NULL. */
enum err namespace_branch(struct namespace_ref parent, const char *name, const struct namespace_options *options,
                          struct namespace_ref *ret_namespace, struct report *report);

/* Ends a namespace and frees its cells. ERR_BUSY: tasks are in it, it has children, or cells of others have edges to
 * its own. Cells that something else still points to are freed by namespace_reap. */
enum err namespace_remove(struct namespace_ref namespace_, struct report *report);
/* Frees what it can of removed namespaces. Number of those still held. */
size_t namespace_reap(void);
/* As namespace_reap, but after one that is still held it returns, and does nothing in the next calls, so that such
 * namespaces cost everybody a small share of the time. For the teardown task, which calls it again and again. */
void namespace_reap_in_background(void);

/* The live cell of that name that the namespace has, its own or an inherited one, or none. */
struct cell_ref namespace_cell(struct namespace_ref namespace_, const char *name);
bool namespace_is_singleton(struct cell_ref cell);

/* Makes sure that `namespace_` has cell `name`, initialized, with all it needs: its own, an inherited one, or one from
 * the archive, which goes to the root, for all, unless only this namespace has what it needs. An inherited one that
 * reaches what is changed here is copied first. On failure the report's text says why, and *ret_cell is untouched.
 * ERR_INVALID: the archive's file of that name has another version of some cell. ERR_NOT_FOUND: also where the
 * namespace is to lack the cell. */
enum err namespace_load(struct namespace_ref namespace_, const char *name, struct cell_ref *ret_cell,
                        struct report *report);

enum namespace_change_flags { NAMESPACE_DRY_RUN = 1 };

/* Gives `namespace_`, a child, the cells in `objects` in place of inherited ones of the same name (or beside them, for
 * a name that it does not have), atomically: all that depends on them is copied and linked, or nothing has changed.
 * Cells that the child holds already are the swap cell's business: ERR_EXISTS. Fills in everything of `report` but its
 * seq: relocations are those of the child's cells that were there before, and its text says which cells were copied
 * and which singletons stay. Objects that no cell was made from are the caller's. */
enum err namespace_change(struct namespace_ref namespace_, const struct object_ref *objects, size_t count,
                          unsigned flags, struct report *report);

/* Swaps cells as a namespace has them, in one transaction: those that it holds are replaced, inherited ones hidden by
 * cells of its own, with copies of what depends on them. A child lacks afterwards what goes without an object, even if
 * its parent has it, and inherits again what order->inherits says and can be. Namespaces that descend from it are made
 * to follow. The objects are the caller's to drop. When nothing is to be done, ERR_OK, and the report's text says why.
 * */
enum err namespace_swap(const struct swap_order *order, struct report *report);
