/* See attempt.h. What is found while other tasks run is checked again, or found again, when their CPUs are parked. */
#include "cells/evolve/swap/attempt.h"
#include "cells/core/arena/arena.h"
#include "cells/core/cpu/cpu.h"
#include "cells/core/lifecycle/lifecycle.h"
#include "cells/evolve/roll_back/roll_back.h"
#include "cells/evolve/swap/carry.h"
#include "cells/evolve/swap/commit.h"
#include "cells/evolve/swap/dry_run.h"
#include "cells/evolve/swap/heirs.h"
#include "cells/evolve/swap/scan.h"
#include "cells/evolve/swap/staging.h"
#include "cells/evolve/swap/switchover.h"
#include "cells/task/park/park.h"
#include "cells/task/scheduler/scheduler.h"

#define WORDS_MAX          (1u << 20)
#define STACK_WORDS        1024       /* room for what scans find on stacks only when the others are parked */
#define QUIESCENCE_NS      4000000000 /* how long to wait for it */
#define QUIESCENCE_STEP_NS 200000     /* between two checks, at first */
#define QUIESCENCE_REST_NS 20000000   /* and at last: who is often inside is found outside once in many checks */
#define QUIESCENCE_POLL_NS 10000000   /* a step below this is no sleep, which would last until a tick */
#define QUIESCENCE_WALK_NS 20000      /* how long others are parked for walks of stacks alone, at first */

static struct reach reach GUARDED_BY(loader_lock);

/* What an attempt works with. */
struct trial {
    struct job *job;
    const struct plan *plan;
    struct words words;
    struct switchover *switchover; /* owned; NULL: the core is not swapped */
    uint64_t incoming;             /* edges to the old cells, before the plan was made */
    uint64_t generation;           /* of the arena, when the plan was found to be `current` */
    bool current;
};

static void trial_end(struct trial *trial)
{
    switchover_put(MOVE(trial->switchover));
    words_release(&trial->words);
}

static enum attempt refuse_with(const struct job *job, enum err error)
{
    job->report->error = error;
    return ATTEMPT_REFUSED;
}

static void end_phase(struct job *job, const char *name)
{
    report_phase(job->report, name, &job->phase_start_ns);
}

/* The time until the others were asked to park for good: they have run in between. */
static void end_wait(struct job *job, uint64_t until_ns)
{
    struct report *report = job->report;

    end_phase(job, "wait");
    report->phase[report->phases - 1].ns -= job->phase_start_ns - until_ns;
    job->phase_start_ns = until_ns;
}

/* ---- new users while the plan is made ---- */

static uint64_t count_incoming(const struct swap_order *order)
{
    uint64_t n = 0;

    for (size_t i = 0; i < order->olds; i++)
        for_each_section_of (s, order->old[i])
            n += arena_section(s)->incoming;
    for (size_t i = 0; i < order->hiddens; i++)
        for_each_section_of (s, order->hidden[i])
            n += arena_section(s)->incoming;
    return n;
}

/* Whether the old cells have the users that the plan was made for. */
static bool has_same_users(const struct trial *trial)
{
    return count_incoming(trial->job->order) == trial->incoming && plan_is_current(trial->plan);
}

static uint64_t arena_generation(void)
{
    return __atomic_load_n(&arena_header()->generation, __ATOMIC_ACQUIRE);
}

/* ---- scan ---- */

/* Words of memory, while other tasks run; those on stacks follow when they are parked. */
static enum err scan_words(struct trial *trial) NEEDS(loader_lock)
{
    struct job *job = trial->job;

    for (; job->room <= WORDS_MAX; job->room *= 2) {
        if (words_reserve(&trial->words, job->room))
            return report_refuse(job->report, ERR_NOMEM, "no memory for words to be redirected");
        scan_memory(trial->plan, &trial->words, NULL);
        if (!trial->words.lost && trial->words.count + STACK_WORDS <= job->room)
            return ERR_OK;
    }
    return report_refuse(job->report, ERR_FULL,
                         "more words of memory point to what is to go than there is room for in the plan");
}

static enum err scan(struct trial *trial) NEEDS(loader_lock)
{
    enum err error = scan_words(trial);

    if (!error)
        reach_find(&reach, trial->plan);
    if (!error && trial->plan->core && !(trial->switchover = switchover_new(trial->plan)))
        error = report_refuse(trial->job->report, ERR_NOMEM, "no memory for copies of the core's data");
    end_phase(trial->job, "scan");
    return error;
}

/* ---- commit, the other CPUs parked ---- */

/* Undoes the steps that have begun, unless the commit is complete; also when a fault unwinds it. */
struct undo_guard {
    struct commit *commit;
};

static void undo_guard_end(struct undo_guard *undo)
{
    if (undo->commit)
        commit_undo(undo->commit);
}

/* Whether the new cell's data is an old one's: then it was initialized long ago. */
static bool has_old_data(const struct plan *plan, struct cell_ref new_)
{
    for (size_t i = 0; i < plan->pairs; i++)
        if (pair_moves(&plan->pair[i]) && same(arena_section(plan->pair[i].new_)->cell, new_))
            return true;
    return !plan->fresh && plan_predecessor(plan, new_).index && arena_cell(new_)->transfer_section.index;
}

static void inherit(const struct plan *plan, struct cell_ref new_) NEEDS(loader_lock)
{
    struct arena_cell *c = arena_cell(new_);

    for (size_t i = 0; i < plan->olds; i++) {
        const struct arena_cell *old = arena_cell(plan->old[i]);
        if (old->name != c->name)
            continue;
        c->reloads = old->reloads;
        if (!plan->fresh)
            c->initialized = old->initialized;
        return;
    }
    if (has_old_data(plan, new_))
        c->initialized = arena_cell(plan->old[0])->initialized;
}

static enum attempt commit_parked(struct trial *trial) NEEDS(loader_lock)
{
    struct job *job = trial->job;
    const struct plan *plan = trial->plan;
    struct commit commit = {.plan = plan, .words = &trial->words, .switchover = trial->switchover};
    bool same = trial->current && arena_generation() == trial->generation;
    GUARD(arena) change = arena_change(); /* ends after `undo`: nobody sees records of half a commit */
    GUARD(undo) undo = {&commit};

    gate_open_all();
    if (!same && !has_same_users(trial))
        return ATTEMPT_OUTDATED;
    heirs_begin();
    if (trial->switchover)
        switchover_snapshot(trial->switchover);
    enum err error = carry_data(plan, job->order->transfer_ms, job->report);
    end_phase(job, "transfer");
    if (error)
        return refuse_with(job, error);
    enum attempt attempt = commit_apply(&commit, job->report);
    end_phase(job, "relocate");
    if (attempt != ATTEMPT_DONE)
        return attempt;
    for (size_t i = 0; i < plan->news; i++)
        inherit(plan, plan->new_[i]);
    heirs_note(plan);
    for (size_t i = 0; i < job->order->absences; i++)
        lifecycle_turn_absence(job->order->absence[i]);
    job->report->words = trial->words.count;
    job->report->tasks = (uint32_t)trial->words.stacks.tasks;
    undo.commit = NULL;
    job->committed = true;
    return ATTEMPT_DONE;
}

/* ---- quiescence ---- */

/* Opens the gates that a commit has closed and not opened, because it gave up or a fault has ended it. */
struct gates_guard {
    bool may_be_closed;
};

static void gates_guard_end(struct gates_guard *gates) NEEDS(loader_lock)
{
    if (!gates->may_be_closed || !gate_is_any_closed())
        return;
    GUARD(park) parked = park_all();
    gate_open_all();
}

/* Scans stacks. When types change, finds out whether anybody is inside of an old cell, and if so closes its gates. */
static enum quiescence scan_stacks(struct trial *trial, uint64_t walk_ns) NEEDS(loader_lock)
{
    const struct plan *plan = trial->plan;
    struct stack_references *stacks = &trial->words.stacks;
    enum quiescence quiescence = QUIESCENCE_REACHED;

    stack_scan(plan, plan->quiescent ? NULL : &reach, (uint64_t)__builtin_frame_address(0), stacks);
    if (plan->quiescent && !stacks->lost)
        quiescence = quiescence_check(plan, stacks, walk_ns, trial->job->report);
    if (quiescence != QUIESCENCE_REACHED)
        gate_close_all(plan, stacks);
    return quiescence;
}

/* Parks the other CPUs, and commits if nobody is inside. */
static enum quiescence commit_once(struct trial *trial, uint64_t walk_ns, enum attempt *ret_attempt) NEEDS(loader_lock)
{
    struct job *job = trial->job;

    trial->generation = arena_generation();
    trial->current = has_same_users(trial);
    GUARD(park) parked = park_all();
    enum quiescence quiescence = scan_stacks(trial, walk_ns);
    if (quiescence == QUIESCENCE_REACHED) {
        end_wait(job, parked.started_ns);
        end_phase(job, "park");
        *ret_attempt = commit_parked(trial);
    }
    uint64_t pause_ns = cpu_ns() - parked.started_ns;
    if (pause_ns > job->report->pause_ns)
        job->report->pause_ns = pause_ns;
    return quiescence;
}

/* Others run. Those that wait at gates do so until the commit, and so do their users: not longer than need be. */
static void let_run(uint64_t ns)
{
    if (ns >= QUIESCENCE_POLL_NS) {
        scheduler_sleep_ns(ns);
        return;
    }
    for (uint64_t until_ns = cpu_ns() + ns; cpu_ns() < until_ns;) {
        cpu_relax();
        scheduler_yield();
    }
}

/* Tries until nobody is inside. Tasks that are rolled back out of an old cell, and those that call it, wait at its
 * gates for the new one. */
static enum attempt commit(struct trial *trial) NEEDS(loader_lock)
{
    bool quiescent = trial->plan->quiescent;
    GUARD(roll_back) held = quiescent ? roll_back_hold() : (struct roll_back_guard){0};
    GUARD(gates) gates = {.may_be_closed = quiescent};
    uint64_t until_ns = cpu_ns() + QUIESCENCE_NS, step_ns = QUIESCENCE_STEP_NS, walk_ns = QUIESCENCE_WALK_NS;
    enum attempt attempt = refuse_with(trial->job, ERR_TIMEOUT);
    enum quiescence quiescence;

    quiescence_begin();
    while ((quiescence = commit_once(trial, walk_ns, &attempt)) > QUIESCENCE_NEVER && cpu_ns() < until_ns) {
        walk_ns += walk_ns / 8; /* tasks that run all the time are walked each time */
        if (quiescence == QUIESCENCE_UNKNOWN)
            continue;
        let_run(step_ns); /* longer each time: tasks cannot leave while CPUs are parked */
        step_ns = step_ns < QUIESCENCE_REST_NS / 2 ? step_ns * 2 : QUIESCENCE_REST_NS;
    }
    if (quiescence == QUIESCENCE_NEVER)
        attempt = refuse_with(trial->job, ERR_NOT_SWAPPABLE);
    end_phase(trial->job, "publish");
    if (attempt == ATTEMPT_DONE)
        trial->job->report->text[0] = 0; /* who was inside meanwhile */
    return attempt;
}

/* ---- the whole ---- */

/* Whether plan, quiescence or swap itself is replaced: their running code has live structures of types that would
 * change. */
static bool replaces_itself(const struct plan *plan)
{
    return plan_is_old(plan, arena_cell_at((uint64_t)plan_put)) ||
           plan_is_old(plan, arena_cell_at((uint64_t)quiescence_check)) ||
           plan_is_old(plan, arena_cell_at((uint64_t)attempt_swap));
}

static enum err verify(struct trial *trial, struct plan *plan)
{
    struct job *job = trial->job;
    enum err error = plan_verify(plan, job->report);

    if (!error && plan->quiescent && !(job->order->flags & SWAP_DRY_RUN) && replaces_itself(plan))
        error = report_refuse(job->report, ERR_NOT_SWAPPABLE, "types change that the running swap has in use");
    end_phase(job, "verify");
    if (!error) {
        job->report->relocations = plan->foreign_redirections;
        job->report->transferred_bytes = plan->data_bytes;
    }
    return error;
}

/* Shows the plan; of a refused one what there is of it. */
static enum attempt preview(struct trial *trial, enum err verdict) NEEDS(loader_lock)
{
    struct job *job = trial->job;
    struct preview *to = job->order->preview;
    enum err error = !verdict && to ? scan(trial) : ERR_OK;

    if (!error)
        error = preview_plan(to, trial->plan);
    if (verdict || error)
        return refuse_with(job, verdict ? verdict : error);
    if (!to)
        return ATTEMPT_DONE;
    job->report->tasks = dry_run_tasks(to, &reach);
    job->report->words = trial->words.count;
    dry_run_words(to, &trial->words);
    return ATTEMPT_DONE;
}

enum attempt attempt_swap(struct job *job)
{
    const struct swap_order *order = job->order;
    const struct plan_input wanted = {.old = order->old,
                                      .olds = order->olds,
                                      .new_ = job->new_,
                                      .news = job->news,
                                      .hidden = order->hidden,
                                      .hiddens = order->hiddens,
                                      .inherited = order->inherited,
                                      .inheriteds = order->inheriteds,
                                      .besides = job->news ? order->besides : 0,
                                      .namespace_ = order->namespace_,
                                      .fresh = order->flags & SWAP_FRESH_DATA,
                                      .recipes = order->recipes,
                                      .recipe_bytes = order->recipe_bytes};
    struct trial trial __attribute__((cleanup(trial_end))) = {.job = job, .incoming = count_incoming(order)};
    OWN(plan) struct plan *plan = plan_new(&wanted);

    if (!plan)
        return refuse_with(job, report_refuse(job->report, ERR_NOMEM, "no memory for the plan"));
    trial.plan = plan;
    enum err error = verify(&trial, plan);
    if (order->flags & SWAP_DRY_RUN)
        return preview(&trial, error);
    if (!error)
        error = staging_initialize_needs(job);
    if (!error)
        error = staging_initialize_besides(job);
    if (!error)
        error = scan(&trial);
    return error ? refuse_with(job, error) : commit(&trial);
}
