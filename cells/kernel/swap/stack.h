/* Looks for words that point into the old cells of a plan on the stacks of tasks, and for the frames that they belong to. The
 * other CPUs are parked for all of it. Internal to the swap cell. */
#pragma once
#include "cells/kernel/swap/plan.h"
#include "cells/kernel/swap/reach.h"

struct task;

/* Looks once at each word on the stacks of tasks that can reach the old cells (`reach` NULL: of all), into plan->hit; the
 * others below go by that. The caller's own frames, below `own_rsp`, are left out. False: there is no room for all hits. */
bool stack_look(struct plan *plan, const struct reach *reach, uint64_t own_rsp);
/* The caller's own frames that have come since then, down to `own_rsp`. */
bool stack_look_own(struct plan *plan, uint64_t own_rsp);

/* Adds the hits that have a place in the new cells to the plan's words. How many hits lie within the old cells' text. */
uint64_t stack_add_words(struct plan *plan);
/* Whether one of the hits lies within [low, high), which is text of an old cell. */
bool stack_says(const struct plan *plan, uint64_t low, uint64_t high);

/* The task that has hits from number *at on, and which of its words may be return addresses of frames that cannot go on in a
 * new cell: the highest one, or NULL. *at becomes the number of the next task's first hit. NULL: there are no more tasks. */
struct task *stack_next(const struct plan *plan, size_t *at, const uint64_t **ret_stuck);
/* Whether the task has such a frame, up to the word that stack_next has said, and where. Walks frames, which takes long. */
bool stack_is_stuck(const struct plan *plan, const struct task *task, const uint64_t *highest, uint64_t *ret_rip);

/* Whether a frame on some stack will return into an old cell, or its data is pointed to from there. Needs no stack_look. */
bool stack_holds(const struct plan *plan, uint64_t own_rsp);
