/* The history of a namespace, as the log of swaps has it (guest/abi/arena.h): its commits, and what it was made of after
 * each of them. A commit is a swap that took effect and gave a cell another object; its number is the swap's.
 *
 * The namespace's own commits come first, then its branching off, then those of the namespace that it comes from, up to
 * that. What it inherits follows that one also afterwards; such changes are in the other's history only. */
#pragma once
#include "introspect/view.h"

struct history;

void history_free(struct history *history); /* accepts NULL */
/* NULL: out of memory. Borrows the view. */
struct history *history_take(const struct view *view, uint32_t namespace_);

enum history_kind {
    HISTORY_CHANGE,
    HISTORY_BRANCH, /* `namespace_` was made; commit: the last swap before that */
    HISTORY_START,  /* the log goes back no further; commit 0: to the start of the guest */
};

struct history_entry {
    enum history_kind kind;
    uint64_t commit, time_ns;
    uint32_t namespace_;           /* where it was made */
    const struct arena_swap *swap; /* of a change */
};

/* Newest first; NULL at the end. The last one is HISTORY_START. */
const struct history_entry *history_entry(const struct history *history, size_t n);
bool history_find(const struct history *history, uint64_t commit, size_t *ret_n);

/* What is under a name; all zero: nothing. */
struct history_cell {
    uint64_t object; /* its hash; 0: none, or part of the image */
    uint32_t version;
    uint32_t cell; /* that has it now; 0: it was another one, or there is none */
};

size_t history_cells(const struct history *history);
const char *history_name(const struct history *history, size_t i); /* in order */
/* What was under that name after entry n; false: nothing ever was. */
bool history_cell(const struct history *history, size_t n, const char *name, struct history_cell *ret);

/* Whether the guest still has that object. */
bool history_has_object(const struct view *view, const char *cell, uint64_t hash);
/* Whether the namespace can be led back to entry n; if not, the first cell whose object is gone. */
bool history_is_whole(const struct history *history, size_t n, const char **ret_cell, uint32_t *ret_version);
