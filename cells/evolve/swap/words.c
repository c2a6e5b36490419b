/* See words.h. */
#include "cells/evolve/swap/words.h"

void words_release(struct words *words)
{
    mapped_pages_put(MOVE(words->memory));
}

enum err words_reserve(struct words *words, size_t room)
{
    words_forget(words);
    if (room <= words->room)
        return ERR_OK;
    mapped_pages_put(MOVE(words->memory));
    words->room = words->stacks.room = 0;
    words->memory = page_map(room * (sizeof *words->word + sizeof *words->stacks.reference), PAGE_WRITE);
    if (!words->memory)
        return ERR_NOMEM;
    words->word = page_start(words->memory);
    words->stacks.reference = (struct stack_reference *)(words->word + room);
    words->room = words->stacks.room = room;
    return ERR_OK;
}

void words_forget(struct words *words)
{
    words->count = words->stacks.count = 0;
    words->lost = words->stacks.lost = false;
}

void words_add(struct words *words, uint64_t *at, uint64_t before, uint64_t after)
{
    if (words->count < words->room)
        words->word[words->count++] = (struct word){at, before, after};
    else
        words->lost = true;
}

uint64_t words_add_stacks(struct words *words, const struct plan *plan)
{
    uint64_t in_text = 0;

    for (size_t i = 0; i < words->stacks.count; i++) {
        uint64_t *at = words->stacks.reference[i].at, to = plan_map(plan, *at);
        in_text += plan_in_old_text(plan, *at);
        if (to)
            words_add(words, at, *at, to);
    }
    return in_text;
}

static void replace(uint64_t *at, uint64_t before, uint64_t after)
{
    (void)__atomic_compare_exchange_n(at, &before, after, false, __ATOMIC_ACQ_REL, __ATOMIC_RELAXED);
}

void word_redirect(const struct word *word)
{
    replace(word->at, word->before, word->after);
}

void word_undo(const struct word *word)
{
    replace(word->at, word->after, word->before);
}
