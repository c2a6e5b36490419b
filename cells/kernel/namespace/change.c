/* See namespace.h. Copy on write: which cells a change takes along, loading them apart, and letting them be seen at once.
 *
 * A cell is hidden from a namespace by a nearer one of the same name. What is inherited and depends on a hidden cell,
 * directly or through others, would lead tasks past what was changed for them: it is copied. Singletons end the walk. */
#include "cells/kernel/archive/archive.h"
#include "cells/kernel/arena/arena.h"
#include "cells/kernel/cpu/cpu.h"
#include "cells/kernel/heap/heap.h"
#include "cells/kernel/log/log.h"
#include "cells/kernel/namespace/namespace.h"
#include "cells/kernel/page/page.h"
#include "cells/kernel/panic/panic.h"
#include "cells/kernel/park/park.h"
#include "cells/kernel/swap/preview.h"
#include "cells/kernel/swap/swap.h"
#include "cells/lib/format/format.h"
#include "cells/lib/string/string.h"
#include "guest/abi/note.h"

EXPORT(namespace_cell, APPLICATION);
EXPORT(namespace_is_singleton, KERNEL);
EXPORT(namespace_load, KERNEL);
EXPORT(namespace_change, KERNEL);
EXPORT(namespace_swap, KERNEL);

#define ROUNDS_MAX 4 /* of staging, when it loads more cells that are to be copied */

struct list {
    size_t count;
    uint32_t cell[ARENA_CELLS_MAX];
};

struct change {
    uint32_t namespace_;
    const uint32_t *object; /* what is asked for; the copies' objects are those of the cells in `stale` */
    size_t objects;
    enum { COPY_ALL, COPY_WANTED, COPY_NEEDED } copies; /* of all stale cells; of `wanted`; of what own cells lead to */
    uint32_t wanted;
    struct list hidden; /* inherited cells that the new ones take the place of */
    struct list stale;  /* inherited cells that are to be copied */
    struct list kept;   /* singletons that depend on hidden or stale cells, and stay as they are */
    struct list staged; /* new cells: of `object`, then of `stale` */
    struct list scratch;
    uint64_t rebound;
    bool published;
    struct preview *preview; /* of a dry run; NULL: nobody wants to see the plan */
    struct loader_detail detail;
};

static const char *name_of(uint32_t cell)
{
    return arena_string(arena_cell(cell)->name);
}

static const char *space_name(uint32_t namespace_)
{
    return arena_string(arena_namespace(namespace_)->name);
}

#define SAY(change, ...) format_print((change)->detail.text, sizeof(change)->detail.text, __VA_ARGS__)

/* ---- what a namespace sees ---- */

uint32_t namespace_cell(uint32_t namespace_, const char *name)
{
    GUARD(arena) held = arena_change();

    for (int depth = 0; namespace_ && depth < ARENA_NAMESPACES_MAX; depth++) {
        uint32_t cell = arena_cell_find(namespace_, name);
        if (!cell || arena_cell(cell)->state == CELL_LIVE)
            return cell;
        namespace_ = arena_namespace(arena_cell(cell)->namespace_)->parent; /* beyond one that is not ready */
    }
    return 0;
}

bool namespace_is_singleton(uint32_t cell)
{
    const struct arena_cell *c = arena_cell(cell);

    return arena_in_image(c) ||
           ((c->data_bytes || c->init_section || c->done_section) && !(c->flags & NOTE_PER_NAMESPACE));
}

static bool is_visible(uint32_t namespace_, uint32_t cell)
{
    return namespace_cell(namespace_, name_of(cell)) == cell;
}

/* Whether `inner` is `outer`, or comes from it. */
static bool is_within(uint32_t inner, uint32_t outer)
{
    for (int depth = 0; inner && inner != outer && depth < ARENA_NAMESPACES_MAX; depth++)
        inner = arena_namespace(inner)->parent;
    return inner == outer;
}

/* ---- lists ---- */

static bool has(const struct list *list, uint32_t cell)
{
    for (size_t i = 0; i < list->count; i++)
        if (list->cell[i] == cell)
            return true;
    return false;
}

static void add(struct list *list, uint32_t cell)
{
    if (!has(list, cell))
        list->cell[list->count++] = cell;
}

/* ---- what is to be copied ---- */

/* The cells that the namespace's own ones hide, and those that its ancestors' hide. */
static void add_hidden(struct list *hidden, uint32_t namespace_)
{
    uint32_t used = arena_header()->table[ARENA_CELLS].used;

    for (uint32_t i = 1; i < used; i++) {
        const struct arena_cell *c = arena_cell(i);
        if (c->state == CELL_LIVE && c->namespace_ != namespace_ && is_within(namespace_, c->namespace_) &&
            !is_visible(namespace_, i))
            add(hidden, i);
    }
}

/* Takes the user of a hidden or stale cell along, if the namespace comes upon it and does not hold it itself. */
static void add_user(struct change *change, uint32_t user)
{
    const struct arena_cell *c = arena_cell(user);

    if (c->state != CELL_LIVE || c->namespace_ == change->namespace_ || has(&change->hidden, user) ||
        !is_visible(change->namespace_, user))
        return;
    add(namespace_is_singleton(user) ? &change->kept : &change->stale, user);
}

static void add_users(struct change *change, uint32_t cell)
{
    for (uint32_t s = arena_cell(cell)->first_section; s; s = arena_section(s)->next_in_cell)
        for (uint32_t e = arena_section(s)->first_in; e; e = arena_edge(e)->next_in)
            add_user(change, arena_section(arena_edge(e)->from)->cell);
}

static bool is_needed(uint32_t cell, uint32_t namespace_)
{
    for (uint32_t s = arena_cell(cell)->first_section; s; s = arena_section(s)->next_in_cell)
        for (uint32_t e = arena_section(s)->first_in; e; e = arena_edge(e)->next_in) {
            const struct arena_cell *user = arena_cell(arena_section(arena_edge(e)->from)->cell);
            if (user->namespace_ == namespace_ && user->state == CELL_LIVE)
                return true;
        }
    return false;
}

/* Leaves those of the stale cells that are asked for, and what these come to. */
static void narrow(struct change *change)
{
    struct list *stale = &change->stale, *reached = &change->scratch;

    reached->count = 0;
    for (size_t i = 0; i < stale->count; i++)
        if (change->copies == COPY_WANTED ? stale->cell[i] == change->wanted
                                          : is_needed(stale->cell[i], change->namespace_))
            add(reached, stale->cell[i]);
    for (size_t i = 0; i < reached->count; i++)
        for (uint32_t s = arena_cell(reached->cell[i])->first_section; s; s = arena_section(s)->next_in_cell)
            for (uint32_t e = arena_section(s)->first_out; e; e = arena_edge(e)->next_out) {
                uint32_t need = arena_section(arena_edge(e)->to)->cell;
                if (has(stale, need))
                    add(reached, need);
            }
    *stale = *reached;
}

/* From the hidden cells back along the edges. */
static void find_stale(struct change *change)
{
    GUARD(arena) held = arena_change();

    add_hidden(&change->hidden, change->namespace_);
    for (size_t i = 0; i < change->hidden.count; i++)
        add_users(change, change->hidden.cell[i]);
    for (size_t i = 0; i < change->stale.count; i++)
        add_users(change, change->stale.cell[i]);
    if (change->copies != COPY_ALL)
        narrow(change);
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
    if (loader_is_singleton(object)) {
        SAY(change, "%s has state that exists once; a cell for %s alone must say PER_NAMESPACE()", name, space);
        return ERR_REFUSED;
    }
    if (there)
        add(&change->hidden, there);
    return ERR_OK;
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
        find_stale(change);
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
            if (user->state != CELL_LIVE || !is_within(user->namespace_, change->namespace_))
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

/* Takes back what is not published; also when a fault in an init function unwinds the change. */
static void change_put(TAKES struct change *change)
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
OWNABLE(change)

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
        find_stale(change);
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

static enum err run(struct change *change, unsigned flags, struct arena_completion *report)
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

static struct change *change_new(uint32_t namespace_)
{
    struct change *change = heap_alloc(sizeof *change);

    if (!change)
        return NULL;
    memset(change, 0, sizeof *change);
    change->namespace_ = namespace_;
    return change;
}

static enum err change_objects(uint32_t namespace_, const uint32_t *objects, size_t count, unsigned flags,
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
    return run(change, flags, report);
}

enum err namespace_change(uint32_t namespace_, const uint32_t *objects, size_t count, unsigned flags,
                          struct arena_completion *report)
{
    return change_objects(namespace_, objects, count, flags, NULL, report);
}

/* ---- swaps ---- */

/* After a swap in the parent: what own cells lead to may depend on what is changed here now. */
static void settle(uint32_t namespace_)
{
    OWN(change) struct change *change = change_new(namespace_);
    OWN(heap) struct arena_completion *report = heap_alloc(sizeof *report);

    if (!change || !report)
        return;
    memset(report, 0, sizeof *report);
    change->copies = COPY_NEEDED;
    if (run(change, 0, report))
        log_warn("%s does not follow the change: %s: %s", space_name(namespace_), err_text(report->error),
                 report->detail);
}

static size_t count_own(const struct swap_order *order)
{
    size_t own = 0;

    for (size_t i = 0; i < order->olds; i++)
        own += arena_cell(order->old[i])->namespace_ == order->namespace_;
    return own;
}

static bool has_object(const struct swap_order *order, uint32_t name)
{
    for (size_t i = 0; i < order->objects; i++)
        if (arena_object(order->object[i])->name == name)
            return true;
    return false;
}

/* A child cannot be without what its parent has, and what it holds itself is another kind of swap. */
static enum err check_inherited(const struct swap_order *order, size_t own, struct loader_detail *detail)
{
    const char *space = space_name(order->namespace_);

    if (own) {
        format_print(detail->text, sizeof detail->text,
                     "%s holds some of these cells and inherits others; swap one kind "
                     "first",
                     space);
        return ERR_UNSUPPORTED;
    }
    for (size_t i = 0; i < order->olds; i++)
        if (!has_object(order, arena_cell(order->old[i])->name)) {
            format_print(detail->text, sizeof detail->text, "%s inherits %s: it can be another one there, but not go",
                         space, name_of(order->old[i]));
            return ERR_UNSUPPORTED;
        }
    return ERR_OK;
}

static enum err check_state(const struct swap_order *order, struct loader_detail *detail)
{
    for (size_t i = 0; i < order->objects && order->namespace_ != NAMESPACE_ROOT; i++)
        if (loader_is_singleton(order->object[i])) {
            format_print(detail->text, sizeof detail->text,
                         "%s has state that exists once; a cell for %s alone must say PER_NAMESPACE()",
                         arena_string(arena_object(order->object[i])->name), space_name(order->namespace_));
            return ERR_REFUSED;
        }
    return ERR_OK;
}

static enum err swap(const struct swap_order *order, struct arena_completion *report)
{
    struct loader_detail *detail = (struct loader_detail *)report->detail;
    size_t own = count_own(order);
    bool swaps = order->namespace_ == NAMESPACE_ROOT || (own && own == order->olds);
    enum err e = swaps ? check_state(order, detail) : check_inherited(order, own, detail);

    if (!e && !swaps && order->recipes) {
        format_print(detail->text, sizeof detail->text, "recipes are for cells that namespace %s holds itself",
                     space_name(order->namespace_));
        e = ERR_UNSUPPORTED;
    }
    if (e)
        return report->error = e;
    return swaps ? swap_cells(order, report)
                 : change_objects(order->namespace_, order->object, order->objects,
                                  order->flags & SWAP_DRY_RUN ? NAMESPACE_DRY_RUN : 0, order->preview, report);
}

enum err namespace_swap(const struct swap_order *order, struct arena_completion *report)
{
    GUARD(loader) turn = loader_hold();
    uint64_t seq = report->seq;

    memset(report, 0, sizeof *report);
    report->seq = seq;
    enum err e = swap(order, report);
    for (uint32_t i = 1; i < ARENA_NAMESPACES_MAX && !e && !(order->flags & SWAP_DRY_RUN); i++)
        if (i != order->namespace_ && arena_namespace(i)->name && arena_namespace(i)->state == NAMESPACE_LIVE &&
            is_within(i, order->namespace_))
            settle(i);
    return e;
}

/* ---- loading by name ---- */

/* For the namespace alone, since nobody else has what it needs. */
static enum err load_apart(uint32_t namespace_, const char *name, struct arena_completion *report)
{
    struct archive_member member;
    uint32_t object;

    if (archive_find(name, &member))
        return ERR_NOT_FOUND;
    enum err e = loader_keep_object(member.data, member.bytes, &object, (struct loader_detail *)report->detail);
    if (e)
        return e;
    e = namespace_change(namespace_, &object, 1, 0, report);
    if (e)
        loader_drop_object(object);
    return e;
}

static enum err copy_stale(uint32_t namespace_, uint32_t cell, struct arena_completion *report)
{
    OWN(change) struct change *change = change_new(namespace_);

    if (!change)
        return ERR_NOMEM;
    change->copies = COPY_WANTED;
    change->wanted = cell;
    return run(change, 0, report);
}

/* Whether loading for all has failed for a reason that does not hold for the namespace alone. */
static bool may_load_apart(uint32_t namespace_, enum err e)
{
    return e && e != ERR_NOT_FOUND && e != ERR_NOMEM && e != ERR_FULL && namespace_ != NAMESPACE_ROOT;
}

/* Cells that are there before one is loaded, and those that came with it. */
struct arrivals {
    struct list there, came;
};

static void list_cells(struct list *list, const struct list *but)
{
    uint32_t used = arena_header()->table[ARENA_CELLS].used;

    list->count = 0;
    for (uint32_t i = 1; i < used; i++)
        if (arena_cell(i)->state != CELL_FREE && (!but || !has(but, i)))
            list->cell[list->count++] = i;
}

/* From the archive for all, and with it a copy for the namespace where it needs one. When that fails, what came for it alone
 * goes again. */
static enum err load_for_all(uint32_t namespace_, const char *name, struct arena_completion *report)
{
    OWN(heap) struct arrivals *arrivals = heap_alloc(sizeof *arrivals);
    uint32_t cell;

    if (!arrivals)
        return ERR_NOMEM;
    list_cells(&arrivals->there, NULL);
    enum err e = loader_load(name, &cell, (struct loader_detail *)report->detail);
    if (may_load_apart(namespace_, e))
        return load_apart(namespace_, name, report);
    if (!e && namespace_ != NAMESPACE_ROOT)
        e = copy_stale(namespace_, cell, report);
    if (e) {
        list_cells(&arrivals->came, &arrivals->there);
        (void)loader_unload_all(arrivals->came.cell, arrivals->came.count);
    }
    return e;
}

/* `report` is used up. */
static enum err load(uint32_t namespace_, const char *name, struct arena_completion *report)
{
    uint32_t cell = namespace_cell(namespace_, name);
    enum err e = ERR_OK;

    if (!cell)
        e = load_for_all(namespace_, name, report);
    else if (namespace_ != NAMESPACE_ROOT)
        e = copy_stale(namespace_, cell, report);
    return e ? e : loader_initialize(namespace_cell(namespace_, name), (struct loader_detail *)report->detail);
}

enum err namespace_load(uint32_t namespace_, const char *name, uint32_t *ret_cell, struct loader_detail *detail)
{
    GUARD(loader) turn = loader_hold();
    OWN(heap) struct arena_completion *report = heap_alloc(sizeof *report);

    if (!report)
        return ERR_NOMEM;
    memset(report, 0, sizeof *report);
    enum err e = load(namespace_, name, report);
    string_copy(detail->text, report->detail, sizeof detail->text);
    if (!e)
        *ret_cell = namespace_cell(namespace_, name);
    return e;
}
