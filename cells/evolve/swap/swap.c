/* See swap.h. The order of the stages: staging.c loads the new cells, attempt.c plans, scans and commits; record.c
 * keeps the log, dry_run.c shows what a dry run has found. */
#include "cells/evolve/swap/swap.h"
#include "cells/core/arena/arena.h"
#include "cells/core/cpu/cpu.h"
#include "cells/core/lifecycle/lifecycle.h"
#include "cells/evolve/swap/attempt.h"
#include "cells/evolve/swap/dry_run.h"
#include "cells/evolve/swap/record.h"
#include "cells/evolve/swap/staging.h"
#include "cells/lib/string/string.h"
#include "cells/recover/fault/fault.h"
#include "cells/task/task/task.h"

CELL("swap", KERNEL, 1);
FOUNDATION();
EXPORT(swap_cells, KERNEL);
EXPORT(swap_cell, KERNEL);
EXPORT(swap_reload, KERNEL);
EXPORT(swap_reload_cell, KERNEL);
EXPORT(swap_log, KERNEL);

#define ATTEMPTS_MAX 3
#define WORDS_MIN    2048 /* room for words, in the first attempt */

/* Tries until an attempt is neither outdated nor short of room. */
static enum err swap_staged(struct job *job) NEEDS(loader_lock)
{
    struct report *report = job->report;
    uint32_t phases = report->phases;
    enum attempt attempt = ATTEMPT_OUTDATED;

    for (int i = 0; i < ATTEMPTS_MAX && (attempt == ATTEMPT_OUTDATED || attempt == ATTEMPT_NO_ROOM); i++) {
        report->phases = phases;
        job->room *= 1 + (attempt == ATTEMPT_NO_ROOM);
        attempt = attempt_swap(job);
    }
    switch (attempt) {
    case ATTEMPT_DONE:
        return ERR_OK;
    case ATTEMPT_REFUSED:
        return report->error;
    case ATTEMPT_OUTDATED:
        return report_refuse(report, ERR_BUSY, "new users come up all the time; try again");
    case ATTEMPT_NO_ROOM:
        break;
    }
    return report_refuse(report, ERR_FULL,
                         "more words of memory point to what is to go than there is room for in the plan");
}

static void count_swap(const struct job *job)
{
    arena_count(COUNTER_swaps, 1);
    for (size_t i = 0; i < job->news; i++)
        lifecycle_event(EVENT_CELL_SWAPPED, job->new_[i]);
}

static enum err conclude(struct job *job, enum err error) NEEDS(loader_lock)
{
    struct report *report = job->report;

    if (error)
        report->relocations = report->transferred_bytes = 0;
    if (job->committed) {
        count_swap(job);
        report->result = job->new_[0].index;
        error = staging_initialize_new(job);
    }
    return report->error = error;
}

/* Logs a swap that a fault has ended, when that unwinds it. */
struct log_guard {
    struct record *record; /* NULL: the swap is logged, or a dry run */
    const struct job *job;
    uint64_t faults_before;
};

static void log_guard_end(struct log_guard *log) NEEDS(loader_lock)
{
    if (!log->record)
        return;
    struct report *report = log->job->report;
    if (!log->job->committed)
        report->relocations = report->transferred_bytes = 0;
    log->record->took_effect = log->job->committed;
    (void)fault_report(fault_of_task(task_this(), log->faults_before), "swap", report);
    record_end(log->record, report);
}

enum err swap_cells(const struct swap_order *order, struct report *report)
{
    if (!staging_is_sound(order))
        return report->error = ERR_INVALID;
    GUARD(loader) locked = loader_hold();
    struct job job __attribute__((cleanup(staging_end))) = {
        .order = order, .report = report, .phase_start_ns = cpu_ns(), .room = WORDS_MIN};
    static struct record record GUARDED_BY(loader_lock);

    memset(report, 0, sizeof *report);
    record_begin(&record, order);
    GUARD(log)
    log = {.record = order->flags & SWAP_DRY_RUN ? NULL : &record,
           .job = &job,
           .faults_before = arena_header()->fault_seq};
    enum err error = staging_load(&job);
    record_staged(&record, job.new_, job.news);
    if (order->flags & SWAP_DRY_RUN)
        dry_run_cells(order->preview, &record);
    if (!error)
        error = swap_staged(&job);
    error = conclude(&job, error);
    record.took_effect = job.committed;
    struct record *to = MOVE(log.record);
    if (to)
        record_end(to, report);
    return error;
}

/* ---- one cell ---- */

/* Clears the report, and fills in the old cell. */
static enum err find_old(struct namespace_ref namespace_, const char *name, struct swap_order *order,
                         struct report *report)
{
    memset(report, 0, sizeof *report);
    order->namespace_ = namespace_;
    order->old[0] = arena_cell_find(namespace_, name);
    order->olds = 1;
    return order->old[0].index ? ERR_OK : report_refuse(report, ERR_NOT_FOUND, "no cell %s is loaded", name);
}

enum err swap_cell(struct namespace_ref namespace_, const char *name, struct object_ref object, unsigned flags,
                   struct report *report)
{
    GUARD(loader) locked = loader_hold();
    struct swap_order order = {.flags = flags, .objects = 1, .object = {object}};
    const char *of = arena_string(arena_object(object)->name);
    enum err error = find_old(namespace_, name, &order, report);

    if (!error && !string_equal(of, name))
        error = report_refuse(report, ERR_INVALID, "the object is of cell %s, not of %s", of, name);
    if (!error)
        return swap_cells(&order, report);
    loader_drop_object(object);
    return error;
}

enum err swap_reload(struct namespace_ref namespace_, const char *name, unsigned flags, struct report *report)
{
    GUARD(loader) locked = loader_hold();
    struct swap_order order;
    enum err error = find_old(namespace_, name, &order, report);

    return error ? error : swap_reload_cell(order.old[0], flags, report);
}

enum err swap_reload_cell(struct cell_ref cell, unsigned flags, struct report *report)
{
    GUARD(loader) locked = loader_hold();
    const struct arena_cell *c = arena_cell(cell);
    struct swap_order order = {.namespace_ = c->namespace_,
                               .flags = flags,
                               .olds = 1,
                               .old = {cell},
                               .objects = c->object.index != 0,
                               .object = {c->object}};

    return swap_cells(&order, report);
}

void swap_log(const struct swap_order *order, const struct cell_ref *new_, const struct report *report)
{
    GUARD(loader) locked = loader_hold();
    static struct record record GUARDED_BY(loader_lock);

    record_begin(&record, order);
    record_staged(&record, new_, report->error ? 0 : order->objects);
    record.took_effect = !report->error;
    record_end(&record, report);
}
