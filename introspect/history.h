/* The history of a namespace, from the log of swaps (guest/abi/arena.h): its commits, and its cells after
 * each of them. A commit is a swap that took effect and gave a cell another object; its number is the swap's.
 *
 * The namespace's own commits come first, then its branching off, then those of the namespace that it comes from, up to
 * that. What it inherits follows its parent later too; such changes are in the parent's history only, but an entry's
 * cells are those that the namespace had then, inherited ones as they were. */
#pragma once
#include "introspect/view.h"

struct history;

void history_free(struct history *history); /* accepts NULL */
OWNABLE(history, history_free)
/* NULL: out of memory. Borrows the view. */
struct history *history_take(const struct view *view, struct namespace_ref namespace_);

enum history_kind {
    HISTORY_CHANGE,
    HISTORY_BRANCH, /* `namespace_` was made; commit: the last swap before that */
    HISTORY_START,  /* the log goes back no further; commit 0: to the start of the guest */
};

struct history_entry {
    enum history_kind kind;
    uint64_t commit, time_ns;
    struct namespace_ref namespace_; /* where it was made */
    const struct arena_swap *swap;   /* of a change */
};

/* Newest first; NULL at the end. The last one is HISTORY_START. */
const struct history_entry *history_entry(const struct history *history, size_t n);
bool history_find_commit(const struct history *history, uint64_t commit, size_t *ret_n);

/* The cell of a name at one point of the history; version 0: none. */
struct history_cell {
    uint64_t object; /* its hash; 0: none, or part of the image */
    uint32_t version;
    struct cell_ref cell; /* that has it now; none: it was another one, or there is none */
    bool inherited;       /* the namespace of the history did not hold it itself */
    bool lacked;          /* there was an absence (CELL_ABSENT) */
};

/* How many names of cells there have been, and the names, in alphabetical order. */
size_t history_cells(const struct history *history);
const char *history_name(const struct history *history, size_t i); /* in order */
/* Finds the cell of that name after entry n. False: there never was one. */
bool history_cell(const struct history *history, size_t n, const char *name, struct history_cell *ret);

/* Whether the guest still has that object. */
bool history_has_object(const struct view *view, const char *cell, uint64_t hash);
/* Whether the guest has all objects that the namespace consisted of after entry n; if not, the first cell whose
 * object is missing. */
bool history_is_whole(const struct history *history, size_t n, const char **ret_cell, uint32_t *ret_version);
