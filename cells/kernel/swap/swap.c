/* See swap.h. The stages in order; plan.c verifies, carry.c moves data, scan.c finds words that point into a cell, commit.c
 * applies and takes back, record.c keeps the log, preview.c shows the plan of a dry run, reap.c frees what has been replaced. */
#include "cells/kernel/swap/swap.h"
#include "cells/kernel/arena/arena.h"
#include "cells/kernel/cpu/cpu.h"
#include "cells/kernel/loader/loader.h"
#include "cells/kernel/park/park.h"
#include "cells/kernel/roll_back/roll_back.h"
#include "cells/kernel/scheduler/scheduler.h"
#include "cells/kernel/swap/carry.h"
#include "cells/kernel/swap/commit.h"
#include "cells/kernel/swap/door.h"
#include "cells/kernel/swap/plan.h"
#include "cells/kernel/swap/preview.h"
#include "cells/kernel/swap/quiet.h"
#include "cells/kernel/swap/reap.h"
#include "cells/kernel/swap/reach.h"
#include "cells/kernel/swap/record.h"
#include "cells/kernel/swap/scan.h"
#include "cells/kernel/swap/stack.h"
#include "cells/kernel/swap/switch.h"
#include "cells/lib/string/string.h"

CELL("swap", KERNEL, 1);
EXPORT(swap_cells, KERNEL);
EXPORT(swap_cell, KERNEL);
EXPORT(swap_reload, KERNEL);
EXPORT(swap_log, KERNEL);

#define ATTEMPTS_MAX  3 /* against cells that begin to use an old one while it is being planned for */
#define WORDS_MIN     2048
#define WORDS_MAX     (1u << 20)
#define STACK_WORDS   1024       /* room for what is found on stacks only when the others are parked */
#define QUIET_NS      4000000000 /* how long to wait until nobody is inside of an old cell, when types change */
#define QUIET_STEP_NS 1000000
#define QUIET_WALK_NS 20000 /* how long others stand still for walks of stacks alone, at first */

static struct reach reach; /* under the loader's turn */

struct job {
    const struct swap_order *order;
    uint32_t new_[SWAP_SET_MAX];
    size_t news; /* 0: not staged */
    struct arena_completion *report;
    struct loader_detail detail;
    struct recipes recipes;
    uint64_t phase_start_ns;
    size_t words;        /* room for them */
    uint64_t incoming;   /* edges to the old cells, when the plan was made */
    uint64_t generation; /* of the arena, when the plan was found to be `current` */
    bool current, committed;
};

/* Has what a commit, or its undoing, has rewritten remembered as right: while the others run again. */
static void settle(const struct job *job)
{
    const struct swap_order *order = job->order;

    for (size_t i = 0; i < job->news && job->committed; i++)
        loader_settle(job->new_[i]);
    for (size_t i = 0; i < order->olds && job->news; i++)
        if (order->old[i])
            loader_settle(order->old[i]);
}

/* Takes back what was staged and not published; also when a fault unwinds the swap. */
static void job_end(struct job *job)
{
    settle(job);
    if (job->news && !job->committed)
        loader_unstage(job->new_, job->news);
    for (size_t i = 0; i < job->order->objects && !job->news; i++)
        loader_drop_object(job->order->object[i]);
}

static void phase(struct job *job, const char *name)
{
    struct arena_completion *report = job->report;
    uint64_t now = cpu_ns();

    if (report->phases < ARENA_PHASES) {
        struct arena_phase *p = &report->phase[report->phases++];
        string_copy(p->name, name, sizeof p->name);
        p->ns = now - job->phase_start_ns;
    }
    job->phase_start_ns = now;
}

/* ---- (i) stage ---- */

static bool is_ordered_out(const struct swap_order *order, uint32_t cell)
{
    for (size_t i = 0; i < order->olds; i++)
        if (order->old[i] == cell)
            return true;
    return false;
}

/* Whether all that is in the image is to go. */
static bool goes_whole(const struct swap_order *order)
{
    uint32_t used = arena_header()->table[ARENA_CELLS].used;

    for (uint32_t i = 1; i < used; i++)
        if (arena_in_image(arena_cell(i)) && arena_cell(i)->state == CELL_LIVE && !is_ordered_out(order, i))
            return false;
    return true;
}

static enum err check_old(struct job *job, size_t i)
{
    uint32_t cell = job->order->old[i];
    const char *name = arena_string(arena_cell(cell)->name);

    if (arena_cell(cell)->state != CELL_LIVE || arena_cell(cell)->namespace_ != job->order->namespace_) {
        plan_say(&job->detail, "no cell ", name, " is loaded there", "");
        return ERR_NOT_FOUND;
    }
    if (!arena_cell(cell)->object && !goes_whole(job->order)) {
        plan_say(&job->detail, name, " is part of the nano_core image, and goes with all of it", "", "");
        return ERR_NOT_SWAPPABLE;
    }
    for (size_t k = 0; k < i; k++)
        if (job->order->old[k] == cell) {
            plan_say(&job->detail, "cell ", name, " is to go twice", "");
            return ERR_INVALID;
        }
    return ERR_OK;
}

static enum err check_object(struct job *job, size_t i)
{
    const struct swap_order *order = job->order;
    const struct arena_object *object = arena_object(order->object[i]);
    const char *name = arena_string(object->name);
    uint32_t there = arena_cell_find(order->namespace_, name);

    if (there && arena_cell(there)->namespace_ == order->namespace_ && !is_ordered_out(order, there)) {
        plan_say(&job->detail, "cell ", name, " is loaded already, and is not among those to be replaced", "");
        return ERR_EXISTS;
    }
    for (size_t k = 0; k < i; k++)
        if (arena_object(order->object[k])->name == object->name) {
            plan_say(&job->detail, "two objects of cell ", name, "", "");
            return ERR_EXISTS;
        }
    return ERR_OK;
}

/* Cells that the new ones need and that were loaded for them. */
static enum err initialize_needs(struct job *job)
{
    for (size_t i = 0; i < job->news; i++)
        for (uint32_t s = arena_cell(job->new_[i])->first_section; s; s = arena_section(s)->next_in_cell)
            for (uint32_t e = arena_section(s)->first_out; e; e = arena_edge(e)->next_out) {
                uint32_t need = arena_section(arena_edge(e)->to)->cell;
                bool ready = arena_cell(need)->state == CELL_LOADING || arena_cell(need)->initialized;
                enum err error = ready ? ERR_OK : loader_initialize(need, &job->detail);
                if (error)
                    return error;
            }
    return ERR_OK;
}

static enum err stage(struct job *job)
{
    const struct swap_order *order = job->order;
    const struct loader_order load = {.namespace_ = order->namespace_,
                                      .object = order->object,
                                      .objects = order->objects,
                                      .old = order->old,
                                      .olds = order->olds};
    enum err error = ERR_OK;

    for (size_t i = 0; i < order->olds && !error; i++)
        error = check_old(job, i);
    for (size_t i = 0; i < order->objects && !error; i++)
        error = check_object(job, i);
    if (!error && order->recipes)
        error = recipes_open(order->recipes, order->recipe_bytes, &job->recipes, &job->detail);
    if (!error)
        error = loader_stage(&load, job->new_, &job->detail);
    if (!error)
        job->news = order->objects;
    phase(job, "stage");
    return error;
}

/* ---- (iii), (iv): commit, others parked ---- */

/* Takes back what has been done, unless the commit came to its end; also when a fault unwinds it. */
struct undo_guard {
    struct commit *commit;
};

static void undo_guard_end(struct undo_guard *undo)
{
    if (undo->commit)
        commit_undo(undo->commit);
}

static uint64_t incoming_of(const struct swap_order *order)
{
    uint64_t n = 0;

    for (size_t i = 0; i < order->olds; i++)
        for (uint32_t s = arena_cell(order->old[i])->first_section; s; s = arena_section(s)->next_in_cell)
            n += arena_section(s)->incoming;
    return n;
}

/* Whether the new cell's data is that of an old one: then it has begun to work long ago. */
static bool took_data(const struct plan *plan, uint32_t new_)
{
    for (size_t i = 0; i < plan->twins; i++)
        if ((plan->twin[i].carried || (plan->twin[i].recipe && plan->twin[i].new_)) &&
            arena_section(plan->twin[i].new_)->cell == new_)
            return true;
    return !plan->fresh && plan->olds && arena_cell(new_)->transfer_section;
}

static void inherit(const struct plan *plan, uint32_t new_)
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
    if (took_data(plan, new_))
        c->initialized = arena_cell(plan->old[0])->initialized;
}

/* Whether the old cells have the users that the plan was made for. */
static bool is_current(const struct job *job, const struct plan *plan)
{
    return incoming_of(job->order) == job->incoming && plan_is_current(plan);
}

static enum err commit_parked(struct job *job, struct plan *plan)
{
    bool same = job->current && __atomic_load_n(&arena_header()->generation, __ATOMIC_ACQUIRE) == job->generation;
    struct commit commit = {.plan = plan};
    GUARD(undo) undo = {&commit};
    GUARD(arena) change = arena_change();
    enum err error;

    if (!same && !is_current(job, plan)) { /* users that are not in the plan */
        plan_say(&job->detail, "new users come up all the time; try again", "", "", "");
        return ERR_BUSY;
    }
    if (plan->core)
        switch_snapshot(plan);
    error = carry_data(plan, &job->report->transferred_bytes, &job->detail);
    phase(job, "transfer");
    if (!error)
        error = commit_apply(&commit, job->report, &job->detail);
    phase(job, "relocate");
    if (error)
        return error;
    for (size_t i = 0; i < plan->news; i++)
        inherit(plan, plan->new_[i]);
    reap_note(plan);
    job->report->words = plan->words;
    job->report->tasks = (uint32_t)plan->tasks;
    undo.commit = NULL;
    job->committed = true;
    return ERR_OK;
}

/* Opens the doors that a commit has closed and not opened, because it gave up or a fault has ended it. */
struct doors_guard {
    bool may_be_closed;
};

static void doors_guard_end(struct doors_guard *doors)
{
    if (!doors->may_be_closed || !door_any())
        return;
    GUARD(park) parked = park_all();
    door_open_all();
}

/* Looks at stacks; when types change, for whether anybody is inside of an old cell, who then comes upon closed doors. */
static enum quiet look(struct job *job, struct plan *plan, uint64_t walk_ns)
{
    enum quiet quiet = QUIET_REACHED;

    (void)stack_look(plan, plan->quiet ? NULL : &reach, (uint64_t)__builtin_frame_address(0));
    if (plan->quiet && !plan->words_lost)
        quiet = quiet_look(plan, walk_ns, &job->detail);
    if (quiet == QUIET_REACHED)
        door_open_all();
    else
        door_close_all(plan);
    return quiet;
}

/* While others stand still; what stands there is checked before, and again when something has changed since. */
static enum quiet commit_once(struct job *job, struct plan *plan, uint64_t walk_ns, enum err *ret_error)
{
    job->generation = __atomic_load_n(&arena_header()->generation, __ATOMIC_ACQUIRE);
    job->current = is_current(job, plan);
    GUARD(park) parked = park_all();
    enum quiet quiet = look(job, plan, walk_ns);
    if (quiet == QUIET_REACHED) {
        phase(job, "park");
        *ret_error = commit_parked(job, plan);
    }
    uint64_t pause_ns = cpu_ns() - parked.started_ns;
    if (pause_ns > job->report->pause_ns)
        job->report->pause_ns = pause_ns;
    return quiet;
}

/* Tasks that are sent out of an old cell, and those that come to it, wait for the new one before its doors. */
static enum err commit(struct job *job, struct plan *plan)
{
    GUARD(roll_back) held = plan->quiet ? roll_back_hold() : (struct roll_back_guard){0};
    GUARD(doors) doors = {.may_be_closed = plan->quiet};
    uint64_t until_ns = cpu_ns() + QUIET_NS, step_ns = QUIET_STEP_NS, walk_ns = QUIET_WALK_NS;
    enum err error = ERR_TIMEOUT;
    enum quiet quiet;

    quiet_begin();
    while ((quiet = commit_once(job, plan, walk_ns, &error)) != QUIET_REACHED && cpu_ns() < until_ns) {
        walk_ns += walk_ns / 8; /* tasks that run all the time are looked at anew each time */
        if (quiet == QUIET_UNKNOWN)
            continue;
        scheduler_sleep_ns(step_ns); /* longer each time: standing still gets nobody out */
        step_ns *= 2;
    }
    phase(job, "publish");
    if (!error)
        job->detail.text[0] = 0; /* who was inside meanwhile */
    return error;
}

/* ---- the whole ---- */

static void foresee(struct job *job, const struct plan *plan)
{
    job->report->relocations = plan->foreign_steps;
    for (size_t i = 0; i < plan->twins; i++)
        if (plan->twin[i].carried || plan->twin[i].recipe)
            job->report->transferred_bytes += plan->twin[i].bytes;
}

/* Words of memory while the guest still runs; those on stacks come when it stands still. */
static enum err scan(struct job *job, struct plan *plan)
{
    for (; job->words <= WORDS_MAX; job->words *= 2) {
        enum err error = plan_reserve_words(plan, job->words);
        if (error)
            return error;
        scan_memory(plan);
        if (!plan->words_lost && plan->words + STACK_WORDS <= job->words)
            break;
    }
    reach_find(&reach, plan);
    reach.all |= plan->core;
    if (plan->core && switch_reserve(plan))
        return ERR_NOMEM;
    phase(job, "scan");
    return job->words <= WORDS_MAX ? ERR_OK : ERR_FULL;
}

/* What there is to see of the plan; a refused one is shown as far as it has come. */
static enum err dry_run(struct job *job, struct plan *plan, enum err error)
{
    struct preview *preview = job->order->preview;

    if (!preview)
        return error;
    if (!error)
        error = scan(job, plan);
    if (error == ERR_FULL)
        return error;
    preview_plan(preview, plan);
    if (error)
        return error;
    preview_scan(preview, plan, &reach);
    job->report->words = plan->words;
    job->report->tasks = (uint32_t)plan->tasks;
    return ERR_OK;
}

/* Plans and commits. ERR_BUSY: an old cell got new users meanwhile. ERR_FULL: there was too little room for words. */
static enum err attempt(struct job *job)
{
    const struct swap_order *order = job->order;
    job->incoming = incoming_of(order);
    OWN(plan)
    struct plan *plan =
        plan_pair(order->old, order->olds, job->new_, job->news, order->flags & SWAP_FRESH_DATA, &job->recipes);

    if (!plan) {
        plan_say(&job->detail, "no memory for the plan", "", "", "");
        return ERR_NOMEM;
    }
    enum err error = plan_make(plan, &job->detail);
    phase(job, "verify");
    if (!error)
        foresee(job, plan);
    if (order->flags & SWAP_DRY_RUN)
        return dry_run(job, plan, error);
    if (!error)
        error = initialize_needs(job);
    if (!error)
        error = scan(job, plan);
    return error ? error : commit(job, plan);
}

static enum err initialize_new(struct job *job)
{
    enum err error = ERR_OK;

    for (size_t i = 0; i < job->news && !error; i++)
        if (!arena_cell(job->new_[i])->initialized)
            error = loader_initialize(job->new_[i], &job->detail);
    return error;
}

static enum err conclude(struct job *job, enum err error)
{
    struct arena_completion *report = job->report;

    if (error)
        report->relocations = report->transferred_bytes = 0;
    if (job->committed) {
        arena_count(COUNTER_swaps, 1);
        for (size_t i = 0; i < job->news; i++) {
            const struct arena_cell *c = arena_cell(job->new_[i]);
            arena_event(EVENT_CELL_SWAPPED, job->new_[i], c->version, arena_string(c->name));
        }
        report->result = job->new_[0];
        error = initialize_new(job);
    }
    report->error = error;
    string_copy(report->detail, job->detail.text, sizeof report->detail);
    return error;
}

static bool is_whole(const struct swap_order *order)
{
    bool whole = order->olds <= SWAP_SET_MAX && order->objects <= SWAP_SET_MAX && order->olds + order->objects > 0;

    for (size_t i = 0; whole && i < order->olds; i++)
        whole = order->old[i] != 0;
    for (size_t i = 0; whole && i < order->objects; i++)
        whole = order->object[i] != 0;
    return whole;
}

enum err swap_cells(const struct swap_order *order, struct arena_completion *report)
{
    if (!is_whole(order))
        return report->error = ERR_INVALID;
    GUARD(loader) turn = loader_hold();
    struct job job __attribute__((cleanup(job_end))) = {
        .order = order, .report = report, .phase_start_ns = cpu_ns(), .words = WORDS_MIN};
    static struct record record;
    uint64_t seq = report->seq;

    memset(report, 0, sizeof *report);
    report->seq = seq;
    record_begin(&record, order);
    enum err error = stage(&job);
    record_staged(&record, job.new_, job.news);
    if (order->flags & SWAP_DRY_RUN)
        preview_cells(order->preview, &record);
    uint32_t staged_phases = report->phases;
    for (int attempts = 0; !error && attempts < ATTEMPTS_MAX; attempts++) {
        report->phases = staged_phases;
        report->transferred_bytes = 0;
        error = attempt(&job);
        if (error != ERR_BUSY && error != ERR_FULL)
            break;
        job.words *= 1 + (error == ERR_FULL);
        error = attempts + 1 < ATTEMPTS_MAX ? ERR_OK : error;
    }
    error = conclude(&job, error);
    record.took_effect = job.committed;
    if (!(order->flags & SWAP_DRY_RUN))
        record_end(&record, report);
    return error;
}

static enum err by_name(uint32_t namespace_, const char *name, struct swap_order *order,
                        struct arena_completion *report)
{
    uint64_t seq = report->seq;

    memset(report, 0, sizeof *report);
    report->seq = seq;
    order->namespace_ = namespace_;
    order->old[0] = arena_cell_find(namespace_, name);
    order->olds = 1;
    if (order->old[0])
        return ERR_OK;
    plan_say((struct loader_detail *)report->detail, "no cell ", name, " is loaded", "");
    return report->error = ERR_NOT_FOUND;
}

enum err swap_cell(uint32_t namespace_, const char *name, uint32_t object, unsigned flags,
                   struct arena_completion *report)
{
    GUARD(loader) turn = loader_hold();
    struct swap_order order = {.flags = flags, .objects = 1, .object = {object}};
    enum err error = by_name(namespace_, name, &order, report);

    if (!error && !string_equal(arena_string(arena_object(object)->name), name)) {
        plan_say((struct loader_detail *)report->detail, "the object is of cell ",
                 arena_string(arena_object(object)->name), ", not of ", name);
        error = report->error = ERR_INVALID;
    }
    if (!error)
        return swap_cells(&order, report);
    loader_drop_object(object);
    return error;
}

enum err swap_reload(uint32_t namespace_, const char *name, unsigned flags, struct arena_completion *report)
{
    GUARD(loader) turn = loader_hold();
    struct swap_order order = {.flags = flags, .objects = 1};
    enum err error = by_name(namespace_, name, &order, report);

    if (error)
        return error;
    order.object[0] = arena_cell(order.old[0])->object;
    order.objects = order.object[0] != 0;
    return swap_cells(&order, report);
}

void swap_log(const struct swap_order *order, const uint32_t *new_, const struct arena_completion *report)
{
    GUARD(loader) turn = loader_hold();
    static struct record record;

    record_begin(&record, order);
    record_staged(&record, new_, report->error ? 0 : order->objects);
    record.took_effect = !report->error;
    record_end(&record, report);
}
