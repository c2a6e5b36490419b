/* What is left of references to old cells after a swap: see swap.h. */
#include "cells/core/arena/arena.h"
#include "cells/evolve/quiescence/quiescence.h"
#include "cells/evolve/swap/scan.h"
#include "cells/evolve/swap/swap.h"
#include "cells/evolve/swap/words.h"
#include "cells/task/park/park.h"

EXPORT(swap_redirect_words, KERNEL);
EXPORT(swap_is_referenced, KERNEL);

#define WORDS_MAX 2048

void swap_redirect_words(const struct plan *plan)
{
    struct words words __attribute__((cleanup(words_release))) = {0};

    if (!plan->news || words_reserve(&words, WORDS_MAX))
        return;
    scan_memory(plan, &words, NULL);
    GUARD(park) parked = park_all();
    stack_scan(plan, NULL, (uint64_t)__builtin_frame_address(0), &words.stacks);
    (void)words_add_stacks(&words, plan);
    for (size_t i = 0; i < words.count; i++)
        word_redirect(&words.word[i]);
}

bool swap_is_referenced(const struct plan *plan)
{
    if (scan_tasks_refer(plan) || scan_memory_refers(plan))
        return true;
    GUARD(park) parked = park_all();
    return stack_is_referenced(plan, (uint64_t)__builtin_frame_address(0));
}
