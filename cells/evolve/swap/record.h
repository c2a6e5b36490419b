/* The log of swaps in the arena. Internal to the swap cell. */
#pragma once
#include "cells/cell.h"
#include "cells/core/report/report.h"
#include "cells/evolve/swap/swap.h"

/* What a swap is about, noted before it begins: afterwards the old cells may have been freed. */
struct record {
    struct namespace_ref namespace_;
    uint32_t changes;
    bool took_effect;
    struct arena_change change[2 * SWAP_SET_MAX];
};

/* Notes what the order is about: the cells that are to go, and the objects. */
void record_begin(struct record *record, const struct swap_order *order) NEEDS(loader_lock);
/* Notes the versions of the new cells. `news` 0: none was staged. */
void record_staged(struct record *record, const struct cell_ref *new_, size_t news) NEEDS(loader_lock);
/* Logs the swap with its result, and has the objects kept that its commit or earlier ones name. */
void record_end(const struct record *record, const struct report *report) NEEDS(loader_lock);
