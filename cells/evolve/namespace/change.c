/* See change.h. Copy on write: new cells and copies are loaded in isolation, then published in one step. */
#include "cells/evolve/namespace/change.h"
#include "cells/core/cpu/cpu.h"
#include "cells/core/edge/edge.h"
#include "cells/core/lifecycle/lifecycle.h"
#include "cells/core/panic/panic.h"
#include "cells/evolve/namespace/namespace.h"
#include "cells/evolve/plan/plan.h"
#include "cells/evolve/swap/swap.h"
#include "cells/lib/format/format.h"
#include "cells/lib/string/string.h"
#include "cells/memory/heap/heap.h"
#include "cells/task/park/park.h"

EXPORT(namespace_change, KERNEL);

#define LISTS      6 /* of a change */
#define ROUNDS_MAX 4 /* of staging, when it loads more cells that are to be copied */

enum err change_check_state(struct namespace_ref namespace_, struct object_ref object, struct report *report)
{
    const char *name = arena_string(arena_object(object)->name);

    if (!loader_is_intact(object)) /* it may say anything of its state */
        return report_refuse(report, ERR_CORRUPT, "the pristine object of %s is damaged", name);
    if (loader_is_singleton(object))
        return report_refuse(report, ERR_REFUSED,
                             "%s has state that exists once; a cell for %s alone must say PER_NAMESPACE()", name,
                             space_name(namespace_));
    return ERR_OK;
}

enum err change_check_object(struct change *change, struct object_ref object)
{
    const char *name = arena_string(arena_object(object)->name), *space = space_name(change->namespace_);
    struct cell_ref there = namespace_cell(change->namespace_, name);

    if (there.index && same(arena_cell(there)->namespace_, change->namespace_))
        return report_refuse(&change->report, ERR_EXISTS, "%s holds %s itself already; swap replaces it", space, name);
    if (there.index && namespace_is_singleton(there))
        return report_refuse(&change->report, ERR_REFUSED,
                             "%s is a singleton: its state exists once, so it cannot be another one in %s", name,
                             space);
    if (there.index)
        list_add(&change->hidden, there);
    return change_check_state(change->namespace_, object, &change->report);
}

/* ---- loading apart ---- */

static void unstage(struct change *change)
{
    if (change->staged.count)
        lifecycle_unstage(change->staged.cell, change->staged.count);
    change->staged.count = 0;
}

static enum err stage_once(struct change *change)
{
    struct staging {
        struct object_ref object[LOADER_BATCH_MAX];
        struct cell_ref old[];
    };
    size_t olds = change->hidden.count + change->stale.count;
    OWN(heap) struct staging *list = heap_alloc(sizeof *list + olds * sizeof *list->old);
    struct loader_input input = {.namespace_ = change->namespace_};

    if (!list)
        return ERR_NOMEM;
    if (change->objects + change->stale.count > LOADER_BATCH_MAX)
        return report_refuse(&change->report, ERR_FULL,
                             "%lu cells depend on what is to be changed: too many for one batch", change->stale.count);
    for (size_t i = 0; i < change->objects; i++)
        list->object[input.objects++] = change->object[i];
    for (size_t i = 0; i < change->hidden.count; i++)
        list->old[input.olds++] = change->hidden.cell[i];
    for (size_t i = 0; i < change->stale.count; i++) {
        list->object[input.objects++] = arena_cell(change->stale.cell[i])->object;
        list->old[input.olds++] = change->stale.cell[i];
    }
    if (input.objects == 0)
        return ERR_OK;
    input.object = list->object;
    input.old = list->old;
    enum err e = loader_stage(&input, change->staged.cell, &change->report);
    if (!e)
        change->staged.count = input.objects;
    return e;
}

/* Loading may bring cells into the root that depend on what is changed, and that are to be copied then too. */
static enum err stage(struct change *change)
{
    for (int round = 0; round < ROUNDS_MAX; round++) {
        size_t before = change->stale.count;
        enum err e = stage_once(change);
        if (e)
            return e;
        change_find_stale(change);
        if (change->stale.count == before)
            return ERR_OK;
        unstage(change);
    }
    return report_refuse(&change->report, ERR_BUSY, "more and more cells are loaded for it");
}

/* Initializes the new cells before they are published. */
static enum err initialize_change(struct change *change)
{
    enum err e = ERR_OK;

    for (size_t i = 0; i < change->staged.count && !e; i++)
        e = loader_initialize(change->staged.cell[i], &change->report);
    return e;
}

/* ---- cells that the namespace, or a descendant, holds already ---- */

/* Called for each edge from such a cell to one that a staged cell takes the place of. */
typedef enum err edge_visitor(struct change *change, struct edge_ref edge, struct cell_ref to);

static enum err visit_edges_into(struct change *change, struct cell_ref was, struct cell_ref becomes,
                                 edge_visitor *visit)
{
    for_each_section_of (s, was)
        for_each_edge_to_safely (e, s) {
            const struct arena_cell *user = arena_cell(arena_section(arena_edge(e)->from)->cell);
            if (user->state != CELL_LIVE || !change_is_within(user->namespace_, change->namespace_))
                continue;
            enum err error = visit(change, e, becomes);
            if (error)
                return error;
        }
    return ERR_OK;
}

static enum err visit_edges(struct change *change, edge_visitor *visit)
{
    enum err e = ERR_OK;

    for (size_t i = 0; i < change->staged.count && !e; i++) {
        struct cell_ref was = namespace_cell(change->namespace_, name_of_cell(change->staged.cell[i]));
        if (was.index)
            e = visit_edges_into(change, was, change->staged.cell[i], visit);
    }
    return e;
}

static struct symbol_ref symbol_of(struct cell_ref cell, uint32_t name)
{
    for_each_symbol_of (i, cell)
        if (arena_symbol(i)->name == name && arena_symbol(i)->access)
            return i;
    return NO_SYMBOL;
}

static enum err check_edge(struct change *change, struct edge_ref edge, struct cell_ref to)
{
    const struct arena_edge *e = arena_edge(edge);
    const struct arena_cell *user = arena_cell(arena_section(e->from)->cell);
    const char *user_name = arena_string(user->name);

    if (!e->symbol.index)
        return report_refuse(&change->report, ERR_MISSING_SYMBOL,
                             "%s holds a pointer into %s, which the new one has nothing for", user_name,
                             name_of_cell(to));
    const struct arena_symbol *old = arena_symbol(e->symbol);
    struct symbol_ref found = symbol_of(to, old->name);
    const char *name = arena_string(old->name);
    if (!found.index)
        return report_refuse(&change->report, ERR_MISSING_SYMBOL, "%s: %s is used by %s, and the new version lacks it",
                             name_of_cell(to), name, user_name);
    if (old->type_hash && arena_symbol(found)->type_hash && old->type_hash != arena_symbol(found)->type_hash)
        return report_refuse(&change->report, ERR_WRONG_TYPE,
                             "%s: %s has another type in the new version, and %s uses it", name_of_cell(to), name,
                             user_name);
    if (arena_symbol(found)->access < user->kind)
        return report_refuse(&change->report, ERR_NO_ACCESS, "%s: %s is no longer for all of the cells that use it",
                             name_of_cell(to), name);
    return ERR_OK;
}

/* check_edge has passed before, and all cells lie within reach of each other: this cannot fail. */
static enum err rebind_edge(struct change *change, struct edge_ref edge, struct cell_ref to)
{
    const struct arena_edge *e = arena_edge(edge);
    const struct arena_symbol *old = arena_symbol(e->symbol);
    struct symbol_ref found = symbol_of(to, old->name);
    enum err error =
        edge_redirect(edge, arena_symbol(found)->section, arena_symbol(found)->offset + e->target - old->offset, found);

    assert(!error);
    change->rebound++;
    return ERR_OK;
}

static enum err count_edge(struct change *change, struct edge_ref edge, struct cell_ref to)
{
    change->rebound++;
    return check_edge(change, edge, to);
}

/* ---- the commit ---- */

static void publish(struct change *change)
{
    for (size_t i = 0; i < change->staged.count; i++)
        lifecycle_publish(change->staged.cell[i]);
    change->published = true;
}

/* False: edges are to be redirected to the new cells, for which the other CPUs must be parked. */
static bool publish_unbound(struct change *change)
{
    GUARD(arena) held = arena_change();

    change->rebound = 0;
    if (visit_edges(change, count_edge) || change->rebound)
        return false;
    publish(change);
    return true;
}

/* check_edge is repeated with the other CPUs parked; after that nothing can fail. */
static enum err commit_change_parked(struct change *change)
{
    GUARD(park) parked = park_all();
    GUARD(arena) held = arena_change();
    enum err e = visit_edges(change, check_edge);
    change->rebound = 0;
    if (!e)
        e = visit_edges(change, rebind_edge);
    if (!e)
        publish(change);
    return e;
}

static enum err commit_change(struct change *change)
{
    if (publish_unbound(change))
        return ERR_OK;
    enum err e = commit_change_parked(change);
    for (size_t i = 0; i < change->staged.count && !e; i++)
        edge_rehash(change->staged.cell[i]);
    return e;
}

/* ---- what a dry run shows ---- */

static enum err show_edge(struct change *change, struct edge_ref edge, struct cell_ref)
{
    preview_edge(change->preview, edge);
    return ERR_OK;
}

/* Shows the change; of a refused one what there is of it. */
static void show(struct change *change)
{
    size_t all = change->objects + change->stale.count;

    for (size_t i = 0; i < all; i++) {
        bool asked = i < change->objects;
        struct cell_ref copied = asked ? NO_CELL : change->stale.cell[i - change->objects];
        struct object_ref object = asked ? change->object[i] : arena_cell(copied)->object;
        preview_cell(change->preview, change->namespace_,
                     asked ? namespace_cell(change->namespace_, arena_string(arena_object(object)->name)) : copied,
                     object, change->staged.count == all ? change->staged.cell[i] : NO_CELL,
                     asked ? PLAN_CELL_SWAP : PLAN_CELL_COPY);
    }
    for (size_t i = 0; i < change->kept.count; i++)
        preview_cell(change->preview, arena_cell(change->kept.cell[i])->namespace_, change->kept.cell[i], NO_OBJECT,
                     NO_CELL, PLAN_CELL_STAYS);
    (void)visit_edges(change, show_edge);
}

/* ---- the whole ---- */

/* Unloads cells that were initialized. Those that others still refer to are hidden, and freed when nothing does. */
static void end_begun(struct change *change)
{
    struct list *list = &change->staged;

    for (size_t i = lifecycle_unload_all(list->cell, list->count); i < list->count; i++)
        lifecycle_retract(list->cell[i]);
}

void change_put(TAKES struct change *change)
{
    bool begun = false;

    if (!change)
        return;
    for (size_t i = 0; i < change->staged.count; i++)
        begun |= arena_cell(change->staged.cell[i])->initialized;
    if (!change->published && begun)
        end_begun(change);
    else if (!change->published)
        unstage(change);
    heap_free(change);
}

static enum err carry_out(struct change *change, unsigned flags, struct report *report)
{
    uint64_t since_ns = cpu_ns();
    enum err e = ERR_OK;

    for (size_t i = 0; i < change->objects && !e; i++)
        e = change_check_object(change, change->object[i]);
    if (!e)
        change_find_stale(change);
    report_phase(report, "plan", &since_ns);
    if (!e)
        e = stage(change);
    report_phase(report, "stage", &since_ns);
    if (!e)
        e = visit_edges(change, count_edge);
    if (flags & NAMESPACE_DRY_RUN)
        show(change);
    report_phase(report, "verify", &since_ns);
    if (e || flags & NAMESPACE_DRY_RUN)
        return e;
    e = initialize_change(change);
    report_phase(report, "init", &since_ns);
    if (!e)
        e = commit_change(change);
    report_phase(report, "publish", &since_ns);
    return e;
}

/* "2 copied: a b; stay: log" as far as there is room. */
void change_report_cells(const struct change *change, struct report *report)
{
    char *text = report->text;
    size_t bytes = sizeof report->text, at = 0;

    for (size_t i = 0; i < change->stale.count && at < bytes; i++)
        at += format_print(text + at, bytes - at, "%s%s", i ? " " : "copied: ", name_of_cell(change->stale.cell[i]));
    for (size_t i = 0; i < change->kept.count && at < bytes; i++)
        at += format_print(text + at, bytes - at, "%s%s",
                           i    ? " "
                           : at ? "; stay: "
                                : "stay: ",
                           name_of_cell(change->kept.cell[i]));
}

static void note_object(struct swap_order *order, struct object_ref object)
{
    order->object[order->objects++] = object;
}

/* Logs the requested cells, and the copies if there is room: from which object they are does not change. */
static void note_down(const struct change *change, const struct report *report)
{
    OWN(heap) struct swap_order *order = heap_alloc(sizeof *order);
    size_t copies = report->error || change->objects + change->stale.count > SWAP_SET_MAX ? 0 : change->stale.count;

    if (!order || change->objects > SWAP_SET_MAX || change->objects + copies == 0)
        return;
    *order = (struct swap_order){.namespace_ = change->namespace_};
    for (size_t i = 0; i < change->objects; i++) {
        note_object(order, change->object[i]);
        for (size_t k = 0; k < change->hidden.count; k++)
            if (arena_cell(change->hidden.cell[k])->name == arena_object(change->object[i])->name)
                order->old[order->olds++] = change->hidden.cell[k];
    }
    for (size_t i = 0; i < copies; i++) {
        order->old[order->olds++] = change->stale.cell[i];
        note_object(order, arena_cell(change->stale.cell[i])->object);
    }
    swap_log(order, change->staged.cell, report);
}

enum err change_run(struct change *change, unsigned flags, struct report *report)
{
    enum err e = carry_out(change, flags, report);

    report->error = e;
    report->relocations = e ? 0 : change->rebound;
    if (e)
        string_copy(report->text, change->report.text, sizeof report->text);
    else
        change_report_cells(change, report);
    if (change->objects && !e)
        report->result = change->staged.cell[0].index;
    if (!(flags & NAMESPACE_DRY_RUN))
        note_down(change, report);
    return e;
}

struct change *change_new(struct namespace_ref namespace_)
{
    const struct arena_table_desc *cells = &arena_header()->table[ARENA_CELLS];
    size_t room = cells->used + ROUNDS_MAX * LOADER_BATCH_MAX;

    if (room > cells->capacity)
        room = cells->capacity;
    struct change *change = heap_alloc(sizeof *change + LISTS * room * sizeof(struct cell_ref));
    if (!change)
        return NULL;
    memset(change, 0, sizeof *change);
    change->namespace_ = namespace_;
    struct list *lists[LISTS] = {&change->hidden, &change->stale,  &change->inherited,
                                 &change->kept,   &change->staged, &change->scratch};
    for (size_t i = 0; i < LISTS; i++)
        *lists[i] = (struct list){.room = room, .cell = (struct cell_ref *)(change + 1) + i * room};
    return change;
}

enum err change_objects(struct namespace_ref namespace_, const struct object_ref *objects, size_t count, unsigned flags,
                        struct preview *preview, struct report *report)
{
    GUARD(loader) locked = loader_hold();
    OWN(change) struct change *change = change_new(namespace_);

    memset(report, 0, sizeof *report);
    if (!change)
        return report->error = ERR_NOMEM;
    change->object = objects;
    change->objects = count;
    change->preview = preview;
    return change_run(change, flags, report);
}

enum err namespace_change(struct namespace_ref namespace_, const struct object_ref *objects, size_t count,
                          unsigned flags, struct report *report)
{
    return change_objects(namespace_, objects, count, flags, NULL, report);
}
