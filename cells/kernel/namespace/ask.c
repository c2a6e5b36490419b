/* What is asked of namespaces: swaps of what they have, and cells by name. */
#include "cells/kernel/archive/archive.h"
#include "cells/kernel/heap/heap.h"
#include "cells/kernel/log/log.h"
#include "cells/kernel/namespace/change.h"
#include "cells/kernel/namespace/namespace.h"
#include "cells/kernel/swap/swap.h"
#include "cells/lib/string/string.h"

EXPORT(namespace_swap, KERNEL);
EXPORT(namespace_load, KERNEL);

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
    if (change_run(change, 0, report))
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
                     "%s holds some of these cells and inherits others; swap one kind first", space);
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
    enum err e = ERR_OK;

    for (size_t i = 0; i < order->objects && order->namespace_ != NAMESPACE_ROOT && !e; i++)
        e = change_check_state(order->namespace_, order->object[i], detail);
    return e;
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
            change_is_within(i, order->namespace_))
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
    return change_run(change, 0, report);
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
        if (arena_cell(i)->state != CELL_FREE && (!but || !list_has(but, i)))
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
