/* See commit.h. */
#include "cells/kernel/swap/commit.h"
#include "cells/kernel/arena/arena.h"
#include "cells/kernel/exception/exception.h"
#include "cells/kernel/swap/carry.h"
#include "cells/kernel/swap/scan.h"
#include "cells/kernel/swap/stack.h"
#include "cells/kernel/swap/swap.h"
#include "cells/kernel/swap/switch.h"

EXPORT(swap_step_hook, KERNEL);

void (*swap_step_hook)(unsigned step);

static void begin_step(struct commit *commit)
{
    commit->steps++;
    if (swap_step_hook)
        swap_step_hook(commit->steps);
}

/* With cells of the nano_core the record only: what it says is written when all at once takes effect. */
static bool rebind(const struct plan *plan, const struct step *step, const struct place *to)
{
    if (plan->core) {
        loader_rebind_record(step->edge, to->section, to->target, to->symbol);
        return true;
    }
    return loader_rebind(step->edge, to->section, to->target, to->symbol) == ERR_OK;
}

static enum err rewrite_edges(struct commit *commit)
{
    struct plan *plan = commit->plan;

    for (; commit->edges < plan->steps; commit->edges++) {
        const struct step *step = &plan->step[commit->edges];
        begin_step(commit);
        if (!rebind(plan, step, &step->to))
            return ERR_BAD_RELOCATION;
    }
    return ERR_OK;
}

static void set_word(uint64_t *at, uint64_t before, uint64_t after)
{
    (void)__atomic_compare_exchange_n(at, &before, after, false, __ATOMIC_ACQ_REL, __ATOMIC_RELAXED);
}

void commit_word(const struct word *word)
{
    set_word(word->at, word->before, word->after);
}

static void rewrite_words(struct commit *commit)
{
    const struct plan *plan = commit->plan;

    begin_step(commit);
    for (; commit->words < plan->words; commit->words++) {
        if (commit->words == plan->words / 2)
            begin_step(commit);
        commit_word(&plan->word[commit->words]);
    }
}

static void move_symbols(struct commit *commit)
{
    const struct plan *plan = commit->plan;

    for (; commit->retracted < plan->olds; commit->retracted++) {
        begin_step(commit);
        loader_retract(plan->old[commit->retracted]);
    }
    for (; commit->published < plan->news; commit->published++) {
        begin_step(commit);
        loader_publish(plan->new_[commit->published]);
    }
}

/* The words on stacks, whose look has been taken; the last few frames have come since. */
static enum err find_words(struct commit *commit, struct arena_completion *report, struct loader_detail *detail)
{
    struct plan *plan = commit->plan;

    begin_step(commit);
    if (stack_look_own(plan, (uint64_t)__builtin_frame_address(0)))
        report->frames = stack_add_words(plan);
    if (!plan->words_lost)
        return ERR_OK;
    plan_say(detail, "more words of memory point to what is to go than there is room for in the plan", "", "", "");
    return ERR_FULL;
}

static void move_tasks(struct commit *commit) NEEDS(arena_writer)
{
    begin_step(commit);
    commit->tasks = true;
    scan_tasks_move(commit->plan, false);
    move_symbols(commit);
}

/* Words are looked for once more, since all of them have to be led, and all at once: nobody may come to a lock that has been
 * copied by way of an old pointer. */
static enum err apply_at_once(struct commit *commit, struct arena_completion *report, struct loader_detail *detail)
    NEEDS(arena_writer)
{
    struct plan *plan = commit->plan;
    enum err error = rewrite_edges(commit);

    if (error)
        return error;
    move_tasks(commit);
    plan_forget_words(plan);
    scan_memory(plan);
    (void)stack_look(plan, NULL, (uint64_t)__builtin_frame_address(0));
    error = find_words(commit, report, detail);
    if (error)
        return error;
    switch_over(plan, &commit->steps, swap_step_hook);
    exception_point_gates();
    begin_step(commit);
    return ERR_OK;
}

enum err commit_apply(struct commit *commit, struct arena_completion *report, struct loader_detail *detail)
{
    enum err error;

    if (commit->plan->core)
        return apply_at_once(commit, report, detail);
    error = find_words(commit, report, detail);
    if (!error)
        error = rewrite_edges(commit);
    if (error)
        return error;
    rewrite_words(commit);
    move_tasks(commit);
    begin_step(commit);
    return ERR_OK;
}

/* The step that a fault has cut short counts as begun: what it has not done yet is no harm to take back. */
static size_t begun(size_t done, size_t all)
{
    return done < all ? done + 1 : all;
}

static void undo_symbols(const struct commit *commit)
{
    const struct plan *plan = commit->plan;

    for (size_t i = begun(commit->published, plan->news); i > 0; i--)
        if (arena_cell(plan->new_[i - 1])->state != CELL_FREE)
            loader_conceal(plan->new_[i - 1]);
    for (size_t i = begun(commit->retracted, plan->olds); i > 0; i--)
        loader_restore(plan->old[i - 1]);
}

/* A pointer in data may lead to where its edge does also with cells of the nano_core: put right by who mends after a fault. */
static bool unbind(const struct plan *plan, const struct step *step)
{
    const struct arena_section *from = arena_section(arena_edge(step->edge)->from);

    if (from->kind != SECTION_DATA && from->kind != SECTION_BSS)
        return rebind(plan, step, &step->from);
    return loader_rebind(step->edge, step->from.section, step->from.target, step->from.symbol) == ERR_OK;
}

void commit_undo(struct commit *commit)
{
    struct plan *plan = commit->plan;

    if (plan->core)
        switch_back(plan);
    GUARD(arena) change = arena_change();
    if (commit->tasks) {
        undo_symbols(commit);
        scan_tasks_move(plan, true);
    }
    for (size_t i = begun(commit->words, plan->words); i > 0; i--)
        set_word(plan->word[i - 1].at, plan->word[i - 1].after, plan->word[i - 1].before);
    for (size_t i = begun(commit->edges, plan->steps); i > 0; i--)
        (void)unbind(plan, &plan->step[i - 1]);
}
