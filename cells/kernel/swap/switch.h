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
/* Once edges and words are those that are to be; cannot fail. */
void switch_over(struct plan *plan);
