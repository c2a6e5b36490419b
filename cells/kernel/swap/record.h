/* The log of swaps in the arena. Internal to the swap cell. */
#pragma once
#include "cells/cell.h"
#include "cells/kernel/swap/swap.h"

/* What a swap is about, noted before it begins: afterwards the old cells may be gone. */
struct record {
    uint32_t namespace_, changes;
    bool took_effect;
    struct arena_change change[2 * SWAP_SET_MAX];
};

void record_begin(struct record *record, const struct swap_order *order);
void record_staged(struct record *record, const uint32_t *new_, size_t news);
/* Puts the swap and how it went into the log, and has the objects kept that this one or those before need. Under the
 * loader's turn. */
void record_end(const struct record *record, const struct arena_completion *report);
