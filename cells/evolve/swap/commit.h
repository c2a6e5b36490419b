/* The part of a swap that others cannot see half done: they are parked, and each step can be undone until the last one.
 * Internal to the swap cell. */
#pragma once
#include "cells/core/arena/arena.h"
#include "cells/core/report/report.h"
#include "cells/evolve/swap/attempt.h"
#include "cells/evolve/swap/switchover.h"
#include "cells/evolve/swap/words.h"

/* Which steps of a commit have begun, so that they can be undone. */
struct commit {
    const struct plan *plan;
    struct words *words;           /* of memory; stacks have been scanned */
    struct switchover *switchover; /* NULL: the core is not swapped */
    size_t edges, redirected, retracted, published;
    bool tasks;
    unsigned steps;
};

/* Other CPUs parked, data carried: the steps in their order. The caller undoes what an error or a fault leaves. */
enum attempt commit_apply(struct commit *commit, struct report *report) NEEDS(arena_writer) NEEDS(loader_lock);
/* Undoes the steps that have been done, the last one first. */
void commit_undo(struct commit *commit);
