/* Swaps of the cells that carry out swaps. Internal to the namespace cell. */
#pragma once
#include "cells/core/loader/loader.h"

struct report;
struct swap_order;

/* As swap_cells, in the root namespace. Where another version of cell plan, quiescence or swap is in the set, copies of
 * all three carry it out, which are not in the set: code of the ones that are has no frame then, and may be replaced
 * whatever types change. Each copy is freed, like an old cell, when nothing refers to it. Also returns what loading the
 * copies may return; nothing has changed then, and the objects are dropped. */
enum err copies_swap(const struct swap_order *order, struct report *report) NEEDS(loader_lock);
