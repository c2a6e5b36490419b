/* The part of a swap that others cannot see half done: they are parked, and each step can be taken back until the last one.
 * Internal to the swap cell. */
#pragma once
#include "cells/cell.h"
#include "cells/kernel/arena/arena.h"
#include "cells/kernel/swap/plan.h"

/* How far a commit has come, for taking it back. */
struct commit {
    struct plan *plan;
    size_t edges, words, retracted, published;
    bool tasks;
    unsigned steps;
};

/* Others parked and their stacks looked at, nothing applied: the steps in their order. ERR_FULL: more words on stacks than there is room for, try
 * again with more. The caller takes back what an error or a fault leaves, or says that it is done. */
enum err commit_apply(struct commit *commit, struct arena_completion *report, struct loader_detail *detail)
    NEEDS(arena_writer);
/* Leads one word to where it is to point; one that says something else by now was changed by its owner, and stays. */
void commit_word(const struct word *word);
/* Takes back, last step first. */
void commit_undo(struct commit *commit);
