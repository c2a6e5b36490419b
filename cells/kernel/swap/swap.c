/* See swap.h. The stages in order; plan.c verifies, carry.c moves data, scan.c finds words that point into a cell. */
#include "cells/kernel/swap/swap.h"
#include "cells/kernel/arena/arena.h"
#include "cells/kernel/cpu/cpu.h"
#include "cells/kernel/loader/loader.h"
#include "cells/kernel/park/park.h"
#include "cells/kernel/swap/carry.h"
#include "cells/kernel/swap/plan.h"
#include "cells/kernel/swap/scan.h"
#include "cells/kernel/task/task.h"
#include "cells/lib/string/string.h"

CELL("swap", KERNEL, 1);
EXPORT(swap_cell, KERNEL);
EXPORT(swap_reload, KERNEL);
EXPORT(swap_reap, KERNEL);

#define ATTEMPTS_MAX 3 /* against cells that begin to use the old one while it is being planned for */
#define ROOT         1 /* namespace */
#define FNV_START    0xcbf29ce484222325
#define FNV_PRIME    0x100000001b3

/* Which cell took over from an old one, by index. */
static uint32_t heir[ARENA_CELLS_MAX];

struct job {
    const char *name;
    uint32_t object, old, new_;
    unsigned flags;
    struct arena_completion *report;
    struct loader_detail detail;
    uint64_t phase_start_ns;
    bool committed;
};

/* Takes back what was staged and not published; also when a fault unwinds the swap. */
static void job_end(struct job *job)
{
    if (!job->new_)
        loader_drop_object(job->object);
    else if (arena_cell(job->new_)->state == CELL_LOADING)
        loader_unstage(job->new_);
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

static enum err find_old(struct job *job)
{
    job->old = arena_cell_find(ROOT, job->name);
    if (!job->old || arena_cell(job->old)->state != CELL_LIVE) {
        plan_say(&job->detail, "no cell ", job->name, " is loaded", "");
        return ERR_NOT_FOUND;
    }
    if (!arena_cell(job->old)->object) {
        plan_say(&job->detail, job->name, " is part of the nano_core image; swap loaded cells only", "", "");
        return ERR_NOT_SWAPPABLE;
    }
    return ERR_OK;
}

static enum err check_object(struct job *job)
{
    const struct arena_object *object = arena_object(job->object);
    const uint8_t *data = page_direct(object->phys);
    uint64_t hash = FNV_START;

    for (uint32_t i = 0; i < object->bytes; i++)
        hash = (hash ^ data[i]) * FNV_PRIME;
    if (hash != object->hash) {
        plan_say(&job->detail, "the pristine object of ", job->name, " is damaged", "");
        return ERR_CORRUPT;
    }
    if (!string_equal(arena_string(object->name), job->name)) {
        plan_say(&job->detail, "the object is of cell ", arena_string(object->name), ", not of ", job->name);
        return ERR_INVALID;
    }
    return ERR_OK;
}

/* Cells that the new one needs and that were loaded for it. */
static enum err initialize_needs(struct job *job)
{
    for (uint32_t s = arena_cell(job->new_)->first_section; s; s = arena_section(s)->next_in_cell)
        for (uint32_t e = arena_section(s)->first_out; e; e = arena_edge(e)->next_out) {
            uint32_t need = arena_section(arena_edge(e)->to)->cell;
            bool ready = need == job->new_ || arena_cell(need)->initialized;
            enum err error = ready ? ERR_OK : loader_initialize(need, &job->detail);
            if (error)
                return error;
        }
    return ERR_OK;
}

static enum err stage(struct job *job)
{
    enum err error = find_old(job);

    if (!error)
        error = check_object(job);
    if (!error)
        error = loader_stage(job->object, arena_cell(job->old)->namespace_, &job->new_, &job->detail);
    phase(job, "stage");
    return error;
}

/* ---- (iii), (iv): commit, others parked ---- */

static bool rebind(const struct step *step, const struct place *to)
{
    return loader_rebind(step->edge, to->section, to->target, to->symbol) == ERR_OK;
}

/* Takes back what has been rewritten, unless the commit came to its end; also when a fault unwinds it. */
struct undo_guard {
    struct plan *plan;
};

static void undo_guard_end(struct undo_guard *undo)
{
    struct plan *plan = undo->plan;

    if (!plan)
        return;
    while (plan->applied > 0) {
        plan->applied--;
        (void)rebind(&plan->step[plan->applied], &plan->step[plan->applied].from);
    }
}

static enum err rewrite(struct plan *plan)
{
    for (; plan->applied < plan->steps; plan->applied++)
        if (!rebind(&plan->step[plan->applied], &plan->step[plan->applied].to))
            return ERR_BAD_RELOCATION;
    return ERR_OK;
}

static uint64_t incoming_of(uint32_t cell)
{
    uint64_t n = 0;

    for (uint32_t s = arena_cell(cell)->first_section; s; s = arena_section(s)->next_in_cell)
        n += arena_section(s)->incoming;
    return n;
}

/* What cannot fail any more. */
static void take_over(struct job *job, struct plan *plan) NEEDS(arena_writer)
{
    job->report->frames = scan_stacks(plan, (uint64_t)__builtin_frame_address(0));
    scan_apply(plan);
    scan_tasks_move(plan, false);
    loader_retract(job->old);
    loader_publish(job->new_);
    if (!plan->fresh)
        arena_cell(job->new_)->initialized = arena_cell(job->old)->initialized;
    arena_cell(job->new_)->reloads = arena_cell(job->old)->reloads;
    heir[job->old] = job->new_;
}

static enum err commit(struct job *job, struct plan *plan, uint64_t incoming)
{
    struct arena_completion *report = job->report;
    uint64_t started_ns;
    enum err error;
    {
        GUARD(park) parked = park_all();
        GUARD(undo) undo = {plan};
        GUARD(arena) change = arena_change();
        started_ns = parked.started_ns;
        phase(job, "park");
        if (incoming_of(job->old) != incoming || !plan_is_current(plan)) { /* users that are not in the plan */
            plan_say(&job->detail, job->name, " gets new users all the time; try again", "", "");
            return ERR_BUSY;
        }
        error = carry_data(plan, &report->transferred_bytes, &job->detail);
        phase(job, "transfer");
        if (!error)
            error = rewrite(plan);
        phase(job, "relocate");
        if (!error) {
            take_over(job, plan);
            undo.plan = NULL;
            job->committed = true;
        }
    }
    report->pause_ns = cpu_ns() - started_ns;
    phase(job, "publish");
    return error;
}

/* ---- the whole ---- */

static void preview(struct job *job, struct plan *plan)
{
    job->report->relocations = plan->foreign_steps;
    for (size_t i = 0; i < plan->twins; i++)
        if (plan->twin[i].carried)
            job->report->transferred_bytes += arena_section(plan->twin[i].old)->bytes;
}

static enum err verify(struct job *job, struct plan *plan)
{
    enum err error = plan_pair(plan, job->old, job->new_, job->flags & SWAP_FRESH_DATA, &job->detail);

    if (!error)
        error = plan_make(plan, &job->detail);
    phase(job, "verify");
    return error;
}

/* Plans and commits; ERR_BUSY: the old cell got new users meanwhile. */
static enum err attempt(struct job *job)
{
    struct plan plan __attribute__((cleanup(plan_end))) = {};
    uint64_t incoming = incoming_of(job->old);
    enum err error = verify(job, &plan);

    if (error)
        return error;
    preview(job, &plan);
    if (job->flags & SWAP_DRY_RUN)
        return ERR_OK;
    error = initialize_needs(job);
    if (error)
        return error;
    scan_memory(&plan);
    phase(job, "scan");
    return commit(job, &plan, incoming);
}

static enum err conclude(struct job *job, enum err error)
{
    struct arena_completion *report = job->report;

    if (error)
        report->relocations = report->transferred_bytes = 0;
    if (job->committed) {
        report->result = job->new_;
        arena_count(COUNTER_swaps, 1);
        arena_event(EVENT_CELL_SWAPPED, job->new_, arena_cell(job->new_)->version, job->name);
        if (!arena_cell(job->new_)->initialized)
            error = loader_initialize(job->new_, &job->detail);
    }
    report->error = error;
    string_copy(report->detail, job->detail.text, sizeof report->detail);
    return error;
}

enum err swap_cell(const char *name, uint32_t object, unsigned flags, struct arena_completion *report)
{
    GUARD(loader) turn = loader_hold();
    struct job job __attribute__((cleanup(job_end))) = {
        .name = name, .object = object, .flags = flags, .report = report, .phase_start_ns = cpu_ns()};
    uint64_t seq = report->seq;

    memset(report, 0, sizeof *report);
    report->seq = seq;
    enum err error = stage(&job);
    uint32_t staged_phases = report->phases;
    for (int attempts = 0; !error && attempts < ATTEMPTS_MAX; attempts++) {
        report->phases = staged_phases;
        error = attempt(&job);
        if (error != ERR_BUSY)
            break;
        error = attempts + 1 < ATTEMPTS_MAX ? ERR_OK : ERR_BUSY;
    }
    return conclude(&job, error);
}

enum err swap_reload(const char *name, unsigned flags, struct arena_completion *report)
{
    GUARD(loader) turn = loader_hold();
    uint32_t cell = arena_cell_find(ROOT, name);

    return swap_cell(name, cell ? arena_cell(cell)->object : 0, flags, report);
}

/* ---- old cells ---- */

/* What still points to the old cell is led to its heir where that has the same. */
static void lead_to_heir(uint32_t cell)
{
    struct plan plan __attribute__((cleanup(plan_end))) = {};
    struct loader_detail detail;
    uint32_t to = heir[cell];

    if (!to || (arena_cell(to)->state != CELL_LIVE && arena_cell(to)->state != CELL_OLD) ||
        arena_cell(to)->name != arena_cell(cell)->name || plan_pair(&plan, cell, to, false, &detail))
        return;
    scan_memory(&plan);
    scan_apply(&plan);
    GUARD(park) parked = park_all();
    (void)scan_stacks(&plan, (uint64_t)__builtin_frame_address(0));
}

static bool edges_hold(uint32_t cell)
{
    for (uint32_t s = arena_cell(cell)->first_section; s; s = arena_section(s)->next_in_cell)
        for (uint32_t e = arena_section(s)->first_in; e; e = arena_edge(e)->next_in)
            if (arena_section(arena_edge(e)->from)->cell != cell)
                return true;
    return false;
}

static bool is_held(uint32_t cell)
{
    if (edges_hold(cell) || scan_tasks_hold(cell) || scan_memory_holds(cell))
        return true;
    GUARD(park) parked = park_all();
    return scan_stacks_hold(cell, (uint64_t)__builtin_frame_address(0));
}

size_t swap_reap(void)
{
    uint32_t used = arena_header()->table[ARENA_CELLS].used;
    size_t still = 0;

    for (uint32_t i = 1; i < used; i++) {
        if (arena_cell(i)->state != CELL_OLD)
            continue;
        GUARD(loader) turn = loader_hold();
        if (arena_cell(i)->state != CELL_OLD) /* gone, while somebody else had the turn */
            continue;
        lead_to_heir(i);
        if (is_held(i) || loader_unload(i))
            still++;
        else
            heir[i] = 0;
    }
    return still;
}
