/* What a scan of stacks has found, for the other files of the quiescence cell. Internal to it. */
#pragma once
#include "cells/evolve/quiescence/quiescence.h"

/* Whether some reference is within [low, high), which is text of an old cell. */
bool stack_has_reference(const struct stack_references *found, uint64_t low, uint64_t high);
/* The task whose references begin at number *at; *at becomes the number of the next task's first one. `ret_stuck` is
 * the highest of its words that may be the return address of a stuck frame, or NULL. NULL: there are no more tasks. */
struct task *stack_next(const struct plan *plan, const struct stack_references *found, size_t *at,
                        const uint64_t **ret_stuck);
/* Whether the task has a stuck frame, up to the word that stack_next has found, and where. Walks frames, which takes
 * long. */
bool stack_is_stuck(const struct plan *plan, const struct stack_references *found, const struct task *task,
                    const uint64_t *highest, uint64_t *ret_rip);
