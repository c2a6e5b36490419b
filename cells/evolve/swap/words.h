/* Words of memory and of stacks that are addresses in old cells, and what they become. Internal to the swap cell. */
#pragma once
#include "cells/cell.h"
#include "cells/evolve/plan/plan.h"
#include "cells/evolve/quiescence/quiescence.h"

struct word {
    uint64_t *at; /* in the direct map, or on a stack */
    uint64_t before, after;
};

/* With the stack references in one piece of memory. Release it with words_release, also when it is zeroed. */
struct words {
    struct mapped_pages *memory;
    struct word *word;
    size_t room, count;
    bool lost; /* there were more */
    struct stack_references stacks;
};

/* Frees the memory. Once more does nothing. */
void words_release(struct words *words);
/* Makes room for so many words and as many stack references; there are none then. ERR_NOMEM. */
enum err words_reserve(struct words *words, size_t room);
/* Removes all words and stack references; the room stays. */
void words_forget(struct words *words);
/* Adds a word. Without room it is not added, and `lost` is set. */
void words_add(struct words *words, uint64_t *at, uint64_t before, uint64_t after);
/* Adds the stack references that have a counterpart in the new cells. Returns how many references are in the old cells'
 * text. Other CPUs parked, since the scan of the stacks. */
uint64_t words_add_stacks(struct words *words, const struct plan *plan);

/* Redirects one word to the new cell, or back. A word that its owner has changed since stays as it is. */
void word_redirect(const struct word *word);
void word_undo(const struct word *word);
