/* See commit.h. A step that a fault has cut short counts as begun: undoing what it has not done yet does no harm. */
#include "cells/evolve/swap/commit.h"
#include "cells/core/edge/edge.h"
#include "cells/core/lifecycle/lifecycle.h"
#include "cells/evolve/swap/scan.h"
#include "cells/evolve/swap/swap.h"

EXPORT(swap_step_hook, KERNEL);

void (*swap_step_hook)(unsigned step);

static void begin_step(struct commit *commit)
{
    commit->steps++;
    if (swap_step_hook)
        swap_step_hook(commit->steps);
}

/* With cells of the core the record only: the relocated field is written when everything takes effect at once. */
static enum err redirect_edge(const struct plan *plan, const struct redirection *redirection, const struct place *to)
{
    if (!plan->core)
        return edge_redirect(redirection->edge, to->section, to->target, to->symbol);
    edge_redirect_record(redirection->edge, to->section, to->target, to->symbol);
    return ERR_OK;
}

static enum err redirect_edges(struct commit *commit)
{
    const struct plan *plan = commit->plan;

    for (; commit->edges < plan->redirections; commit->edges++) {
        const struct redirection *redirection = &plan->redirection[commit->edges];
        begin_step(commit);
        enum err error = redirect_edge(plan, redirection, &redirection->to);
        if (error)
            return error;
    }
    return ERR_OK;
}

static void redirect_words(struct commit *commit)
{
    const struct words *words = commit->words;

    begin_step(commit);
    for (; commit->redirected < words->count; commit->redirected++) {
        if (commit->redirected == words->count / 2)
            begin_step(commit);
        word_redirect(&words->word[commit->redirected]);
    }
}

static void exchange_symbols(struct commit *commit)
{
    const struct plan *plan = commit->plan;

    for (; commit->retracted < plan->olds; commit->retracted++) {
        begin_step(commit);
        lifecycle_retract(plan->old[commit->retracted]);
    }
    for (; commit->published < plan->news; commit->published++) {
        begin_step(commit);
        lifecycle_publish(plan->new_[commit->published]);
    }
}

static void redirect_tasks(struct commit *commit) NEEDS(arena_writer)
{
    begin_step(commit);
    commit->tasks = true;
    scan_tasks_redirect(commit->plan, false);
}

/* Adds the words that were found on stacks, and those in the frames entered since. False: there is no room. */
static bool add_stacks(struct commit *commit, struct report *report)
{
    struct words *words = commit->words;

    begin_step(commit);
    stack_scan_own(commit->plan, (uint64_t)__builtin_frame_address(0), &words->stacks);
    if (!words->stacks.lost)
        report->frames = words_add_stacks(words, commit->plan);
    return !words->lost && !words->stacks.lost;
}

/* Words are scanned for again, since all of them have to be redirected at once: after the switchover nobody may reach
 * the old copy of a lock by an old pointer. */
static enum attempt apply_at_once(struct commit *commit, struct report *report) NEEDS(arena_writer) NEEDS(loader_lock)
{
    struct words *words = commit->words;

    report->error = redirect_edges(commit);
    if (report->error)
        return ATTEMPT_REFUSED;
    redirect_tasks(commit);
    exchange_symbols(commit);
    words_forget(words);
    scan_memory(commit->plan, words, switchover_pages(commit->switchover));
    stack_scan(commit->plan, NULL, (uint64_t)__builtin_frame_address(0), &words->stacks);
    if (!add_stacks(commit, report))
        return ATTEMPT_NO_ROOM;
    report->error = plan_refuse_values(commit->plan, report); /* the steps so far have used the core's data */
    if (report->error)
        return ATTEMPT_REFUSED;
    switchover_apply(commit->switchover, words, &commit->steps, swap_step_hook);
    begin_step(commit);
    return ATTEMPT_DONE;
}

static enum attempt apply_step_by_step(struct commit *commit, struct report *report) NEEDS(arena_writer)
{
    if (!add_stacks(commit, report))
        return ATTEMPT_NO_ROOM;
    report->error = redirect_edges(commit);
    if (report->error)
        return ATTEMPT_REFUSED;
    redirect_words(commit);
    redirect_tasks(commit);
    exchange_symbols(commit);
    begin_step(commit);
    return ATTEMPT_DONE;
}

enum attempt commit_apply(struct commit *commit, struct report *report)
{
    return commit->switchover ? apply_at_once(commit, report) : apply_step_by_step(commit, report);
}

/* ---- undo ---- */

static size_t begun(size_t done, size_t all)
{
    return done < all ? done + 1 : all;
}

static void undo_symbols(const struct commit *commit)
{
    const struct plan *plan = commit->plan;

    for (size_t i = begun(commit->published, plan->news); i > 0; i--)
        if (arena_cell(plan->new_[i - 1])->state != CELL_FREE)
            lifecycle_conceal(plan->new_[i - 1]);
    for (size_t i = begun(commit->retracted, plan->olds); i > 0; i--)
        lifecycle_restore(plan->old[i - 1]);
}

/* In a swap of the core only records have changed so far. But after a fault mend may have written the new target into a
 * pointer in data, so that is written back too. */
static void undo_edge(const struct plan *plan, const struct redirection *redirection)
{
    const struct arena_section *from = arena_section(arena_edge(redirection->edge)->from);

    if (section_kind_is_data(from->kind))
        (void)edge_redirect(redirection->edge, redirection->from.section, redirection->from.target,
                            redirection->from.symbol);
    else
        (void)redirect_edge(plan, redirection, &redirection->from);
}

void commit_undo(struct commit *commit)
{
    const struct plan *plan = commit->plan;

    if (commit->switchover)
        switchover_undo(commit->switchover);
    GUARD(arena) change = arena_change();
    if (commit->tasks) {
        undo_symbols(commit);
        scan_tasks_redirect(plan, true);
    }
    for (size_t i = begun(commit->redirected, commit->words->count); i > 0; i--)
        word_undo(&commit->words->word[i - 1]);
    for (size_t i = begun(commit->edges, plan->redirections); i > 0; i--)
        undo_edge(plan, &plan->redirection[i - 1]);
}
