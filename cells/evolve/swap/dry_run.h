/* What a dry run shows beside the plan: the cells of the order, and what scans found. Internal to the swap cell. */
#pragma once
#include "cells/evolve/plan/plan.h"
#include "cells/evolve/quiescence/quiescence.h"
#include "cells/evolve/swap/record.h"
#include "cells/evolve/swap/words.h"

/* Adds what is replaced by what. */
void dry_run_cells(struct preview *preview, const struct record *record);
/* Adds the tasks that can reach the old cells; returns how many they are. */
uint32_t dry_run_tasks(struct preview *preview, const struct reach *reach);
/* Adds words that a commit would redirect. Sorts and changes them, so that no commit may use them afterwards. */
void dry_run_words(struct preview *preview, struct words *words);
