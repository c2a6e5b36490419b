/* One attempt at a swap whose new cells are staged: plan, scan, commit; and what all stages of a swap share. Internal
 * to the swap cell. */
#pragma once
#include "cells/core/loader/loader.h"
#include "cells/evolve/swap/swap.h"

/* How an attempt has ended. Every error of a callee is ATTEMPT_REFUSED; only the code of the attempt itself asks for
 * another one. */
enum [[nodiscard]] attempt{
    ATTEMPT_DONE, ATTEMPT_REFUSED, /* the report says why */
    ATTEMPT_OUTDATED,              /* an old cell got new users while the plan was made: try again */
    ATTEMPT_NO_ROOM,               /* more words are to be redirected than there is room for: try again with more */
};

/* A swap from its order to its report. */
struct job {
    const struct swap_order *order;
    struct report *report;
    struct cell_ref new_[SWAP_SET_MAX]; /* one for each object */
    size_t news;                        /* 0: not staged */
    uint64_t phase_start_ns;
    size_t room; /* for words that are to be redirected */
    bool committed;
};

/* Commits the swap, unless it is a dry run. Sets job->committed, and the report but for its result. */
enum attempt attempt_swap(struct job *job) NEEDS(loader_lock);
