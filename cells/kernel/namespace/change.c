/* See change.h. Copy on write: what a change takes along is loaded apart, and let be seen at once. */
#include "cells/kernel/namespace/change.h"
#include "cells/kernel/cpu/cpu.h"
#include "cells/kernel/heap/heap.h"
#include "cells/kernel/namespace/namespace.h"
#include "cells/kernel/panic/panic.h"
#include "cells/kernel/park/park.h"
#include "cells/kernel/swap/preview.h"
#include "cells/kernel/swap/swap.h"
#include "cells/lib/string/string.h"

EXPORT(namespace_change, KERNEL);

#define ROUNDS_MAX 4 /* of staging, when it loads more cells that are to be copied */

enum err change_check_state(uint32_t namespace_, uint32_t object, struct loader_detail *detail)
{
    const char *name = arena_string(arena_object(object)->name);

    if (!loader_is_intact(object)) { /* it may say anything of its state */
        format_print(detail->text, sizeof detail->text, "the pristine object of %s is damaged", name);
        return ERR_CORRUPT;
    }
    if (loader_is_singleton(object)) {
        format_print(detail->text, sizeof detail->text,
                     "%s has state that exists once; a cell for %s alone must say PER_NAMESPACE()", name,
                     space_name(namespace_));
        return ERR_REFUSED;
    }
    return ERR_OK;
}

/* The namespace must have no cell of its own that the object is to take the place of, and a singleton nowhere. */
static enum err check_object(struct change *change, uint32_t object)
{
    const char *name = arena_string(arena_object(object)->name), *space = space_name(change->namespace_);
    uint32_t there = namespace_cell(change->namespace_, name);

    if (there && arena_cell(there)->namespace_ == change->namespace_) {
        SAY(change, "%s holds %s itself already; swap replaces it", space, name);
        return ERR_EXISTS;
    }
    if (there && namespace_is_singleton(there)) {
        SAY(change, "%s is a singleton: its state exists once, so it cannot be another one in %s", name, space);
        return ERR_REFUSED;
    }
    if (there)
        list_add(&change->hidden, there);
    return change_check_state(change->namespace_, object, &change->detail);
}

/* ---- loading apart ---- */

static void unstage(struct change *change)
{
    if (change->staged.count)
        loader_unstage(change->staged.cell, change->staged.count);
    change->staged.count = 0;
}

static enum err stage_once(struct change *change)
{
    OWN(heap) struct {
        uint32_t object[LOADER_BATCH_MAX], old[2 * ARENA_CELLS_MAX];
    } *list = heap_alloc(sizeof *list);
    struct loader_order order = {.namespace_ = change->namespace_};

    if (!list)
        return ERR_NOMEM;
    if (change->objects + change->stale.count > LOADER_BATCH_MAX) {
        SAY(change, "%zu cells depend on what is to be changed: too many for one batch", change->stale.count);
        return ERR_FULL;
    }
    for (size_t i = 0; i < change->objects; i++)
        list->object[order.objects++] = change->object[i];
    for (size_t i = 0; i < change->hidden.count; i++)
        list->old[order.olds++] = change->hidden.cell[i];
    for (size_t i = 0; i < change->stale.count; i++) {
        list->object[order.objects++] = arena_cell(change->stale.cell[i])->object;
        list->old[order.olds++] = change->stale.cell[i];
    }
    if (order.objects == 0)
        return ERR_OK;
    order.object = list->object;
    order.old = list->old;
    enum err e = loader_stage(&order, change->staged.cell, &change->detail);
    if (!e)
        change->staged.count = order.objects;
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
    SAY(change, "more and more cells are loaded for it");
    return ERR_BUSY;
}

/* Those that work at once are begun while nobody sees them yet. */
static enum err initialize(struct change *change)
{
    enum err e = ERR_OK;

    for (size_t i = 0; i < change->staged.count && !e; i++)
        e = loader_initialize(change->staged.cell[i], &change->detail);
    return e;
}

/* ---- cells that the namespace, or one that comes from it, holds already ---- */

/* Called for each edge from such a cell to one that a staged cell takes the place of. */
typedef enum err edge_visitor(struct change *change, uint32_t edge, uint32_t to);

static enum err visit_edges_into(struct change *change, uint32_t was, uint32_t becomes, edge_visitor *visit)
{
    for (uint32_t s = arena_cell(was)->first_section; s; s = arena_section(s)->next_in_cell)
        for (uint32_t e = arena_section(s)->first_in, next; e; e = next) {
            next = arena_edge(e)->next_in;
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
        uint32_t was = namespace_cell(change->namespace_, name_of(change->staged.cell[i]));
        if (was)
            e = visit_edges_into(change, was, change->staged.cell[i], visit);
    }
    return e;
}

static uint32_t symbol_of(uint32_t cell, uint32_t name)
{
    for (uint32_t i = arena_cell(cell)->first_symbol; i; i = arena_symbol(i)->next_in_cell)
        if (arena_symbol(i)->name == name && arena_symbol(i)->access)
            return i;
    return 0;
}

static enum err check_edge(struct change *change, uint32_t edge, uint32_t to)
{
    const struct arena_edge *e = arena_edge(edge);
    const struct arena_cell *user = arena_cell(arena_section(e->from)->cell);
    const char *user_name = arena_string(user->name);

    if (!e->symbol) {
        SAY(change, "%s holds a pointer into %s, which the new one has nothing for", user_name, name_of(to));
        return ERR_MISSING_SYMBOL;
    }
    const struct arena_symbol *old = arena_symbol(e->symbol);
    uint32_t found = symbol_of(to, old->name);
    const char *name = arena_string(old->name);
    if (!found) {
        SAY(change, "%s: %s is used by %s, and the new version lacks it", name_of(to), name, user_name);
        return ERR_MISSING_SYMBOL;
    }
    if (old->type_hash && arena_symbol(found)->type_hash && old->type_hash != arena_symbol(found)->type_hash) {
        SAY(change, "%s: %s has another type in the new version, and %s uses it", name_of(to), name, user_name);
        return ERR_WRONG_TYPE;
    }
    if (arena_symbol(found)->access < user->kind) {
        SAY(change, "%s: %s is no longer for all of the cells that use it", name_of(to), name);
        return ERR_NO_ACCESS;
    }
    return ERR_OK;
}

/* Checked before, and all cells lie within reach of each other. */
static enum err rebind_edge(struct change *change, uint32_t edge, uint32_t to)
{
    const struct arena_edge *e = arena_edge(edge);
    const struct arena_symbol *old = arena_symbol(e->symbol);
    uint32_t found = symbol_of(to, old->name);
    enum err error =
        loader_rebind(edge, arena_symbol(found)->section, arena_symbol(found)->offset + e->target - old->offset, found);

    assert(!error);
    change->rebound++;
    return ERR_OK;
}

static enum err count_edge(struct change *change, uint32_t edge, uint32_t to)
{
    change->rebound++;
    return check_edge(change, edge, to);
}

/* ---- the commit ---- */

static void publish(struct change *change)
{
    for (size_t i = 0; i < change->staged.count; i++)
        loader_publish(change->staged.cell[i]);
    change->published = true;
}

/* False: edges are to be led to the new cells, for which the others must stand still. */
static bool publish_unbound(struct change *change)
{
    GUARD(arena) held = arena_change();

    change->rebound = 0;
    if (visit_edges(change, count_edge) || change->rebound)
        return false;
    publish(change);
    return true;
}

/* Everything that can fail has been looked at, and is looked at again with the others parked. */
static enum err commit_parked(struct change *change)
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

static enum err commit(struct change *change)
{
    if (publish_unbound(change))
        return ERR_OK;
    enum err e = commit_parked(change);
    for (size_t i = 0; i < change->staged.count && !e; i++)
        loader_settle(change->staged.cell[i]);
    return e;
}

/* ---- what a dry run shows ---- */

static enum err show_edge(struct change *change, uint32_t edge, uint32_t)
{
    preview_edge(change->preview, edge);
    return ERR_OK;
}

/* Also of what has been refused, as far as it has come. */
static void show(struct change *change)
{
    size_t all = change->objects + change->stale.count;

    for (size_t i = 0; i < all; i++) {
        bool asked = i < change->objects;
        uint32_t copied = asked ? 0 : change->stale.cell[i - change->objects];
        uint32_t object = asked ? change->object[i] : arena_cell(copied)->object;
        preview_cell(change->preview,
                     asked ? namespace_cell(change->namespace_, arena_string(arena_object(object)->name)) : copied,
                     object, change->staged.count == all ? change->staged.cell[i] : 0,
                     asked ? PLAN_CELL_SWAP : PLAN_CELL_COPY);
    }
    for (size_t i = 0; i < change->kept.count; i++)
        preview_cell(change->preview, change->kept.cell[i], 0, 0, PLAN_CELL_STAYS);
    (void)visit_edges(change, show_edge);
}

/* ---- the whole ---- */

/* Ends cells that have begun to work; what they are tied to by others goes when these let go. */
static void end_begun(struct change *change)
{
    struct list *list = &change->staged;

    for (size_t i = loader_unload_all(list->cell, list->count); i < list->count; i++)
        loader_retract(list->cell[i]);
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

static void phase(struct arena_completion *report, const char *name, uint64_t *since_ns)
{
    uint64_t now = cpu_ns();

    if (report->phases < ARENA_PHASES) {
        struct arena_phase *p = &report->phase[report->phases++];
        string_copy(p->name, name, sizeof p->name);
        p->ns = now - *since_ns;
    }
    *since_ns = now;
}

static enum err carry_out(struct change *change, unsigned flags, struct arena_completion *report)
{
    uint64_t since_ns = cpu_ns();
    enum err e = ERR_OK;

    for (size_t i = 0; i < change->objects && !e; i++)
        e = check_object(change, change->object[i]);
    if (!e)
        change_find_stale(change);
    phase(report, "plan", &since_ns);
    if (!e)
        e = stage(change);
    phase(report, "stage", &since_ns);
    if (!e)
        e = visit_edges(change, count_edge);
    if (flags & NAMESPACE_DRY_RUN)
        show(change);
    phase(report, "verify", &since_ns);
    if (e || flags & NAMESPACE_DRY_RUN)
        return e;
    e = initialize(change);
    phase(report, "init", &since_ns);
    if (!e)
        e = commit(change);
    phase(report, "publish", &since_ns);
    return e;
}

/* "2 copied: a b; stay: log" as far as there is room. */
static void describe(const struct change *change, struct arena_completion *report)
{
    char *text = report->detail;
    size_t bytes = sizeof report->detail, at = 0;

    for (size_t i = 0; i < change->stale.count && at < bytes; i++)
        at += format_print(text + at, bytes - at, "%s%s", i ? " " : "copied: ", name_of(change->stale.cell[i]));
    for (size_t i = 0; i < change->kept.count && at < bytes; i++)
        at += format_print(text + at, bytes - at, "%s%s",
                           i    ? " "
                           : at ? "; stay: "
                                : "stay: ",
                           name_of(change->kept.cell[i]));
}

/* Copies follow from what was asked for; the log has only that. */
static void note_down(const struct change *change, const struct arena_completion *report)
{
    OWN(heap) struct swap_order *order = heap_alloc(sizeof *order);

    if (!order || change->objects > SWAP_SET_MAX)
        return;
    *order = (struct swap_order){.namespace_ = change->namespace_, .objects = change->objects};
    for (size_t i = 0; i < change->objects; i++) {
        order->object[i] = change->object[i];
        for (size_t k = 0; k < change->hidden.count; k++)
            if (arena_cell(change->hidden.cell[k])->name == arena_object(change->object[i])->name)
                order->old[order->olds++] = change->hidden.cell[k];
    }
    swap_log(order, change->staged.cell, report);
}

enum err change_run(struct change *change, unsigned flags, struct arena_completion *report)
{
    enum err e = carry_out(change, flags, report);

    report->error = e;
    report->relocations = e ? 0 : change->rebound;
    if (e)
        string_copy(report->detail, change->detail.text, sizeof report->detail);
    else
        describe(change, report);
    if (change->objects && !e)
        report->result = change->staged.cell[0];
    if (change->objects && !(flags & NAMESPACE_DRY_RUN))
        note_down(change, report);
    return e;
}

struct change *change_new(uint32_t namespace_)
{
    struct change *change = heap_alloc(sizeof *change);

    if (!change)
        return NULL;
    memset(change, 0, sizeof *change);
    change->namespace_ = namespace_;
    return change;
}

enum err change_objects(uint32_t namespace_, const uint32_t *objects, size_t count, unsigned flags,
                        struct preview *preview, struct arena_completion *report)
{
    GUARD(loader) turn = loader_hold();
    OWN(change) struct change *change = change_new(namespace_);
    uint64_t seq = report->seq;

    memset(report, 0, sizeof *report);
    report->seq = seq;
    if (!change)
        return report->error = ERR_NOMEM;
    change->object = objects;
    change->objects = count;
    change->preview = preview;
    return change_run(change, flags, report);
}

enum err namespace_change(uint32_t namespace_, const uint32_t *objects, size_t count, unsigned flags,
                          struct arena_completion *report)
{
    return change_objects(namespace_, objects, count, flags, NULL, report);
}
