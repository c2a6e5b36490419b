/* How a swap takes effect that has cells of the nano_core among the old ones: what would carry it out step by step, memory,
 * arena, loader, locks, is then itself replaced. So all records are changed first, by the old code on the old data; then one
 * function that calls nothing copies what has changed of the data since, writes every relocated field and leads every word,
 * and the next call of anybody arrives in the new cells. Internal to the swap cell. */
#pragma once
#include "cells/kernel/swap/plan.h"

/* Memory for what follows, in plan->switch_memory; before the others are parked. */
enum err switch_reserve(struct plan *plan);
/* Before data is carried over: what it says now. */
void switch_snapshot(struct plan *plan);
/* Once edges and words are those that are to be. `hook`, if there is one, is called at some of the steps, which are counted;
 * a fault in it, or in what happens here, is taken back before anything else of the unwinding. */
void switch_over(struct plan *plan, unsigned *steps, void (*hook)(unsigned step));
/* Has the old cells work again, on what the new ones have done since, if the new ones do; their records still say otherwise.
 * While others stand still, and nothing that has come since leads to the new cells but what is on the way here. */
void switch_back(struct plan *plan);
