/* Which tasks can come to the old cells of a plan at all, by the edges that lead there (thesis §8.1): the others' stacks need
 * no look. Internal to the swap cell. */
#pragma once
#include "cells/kernel/swap/plan.h"
#include "guest/abi/arena.h"

struct task;

/* Sections from which an old cell can be reached. */
struct reach {
    bool all; /* also every task, since interrupt handlers run on any stack */
    uint32_t queue[ARENA_SECTIONS_MAX];
    uint8_t reached[ARENA_SECTIONS_MAX];
};

void reach_find(struct reach *reach, const struct plan *plan);
bool reach_task(const struct reach *reach, const struct task *task);
