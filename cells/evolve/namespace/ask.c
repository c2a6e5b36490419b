/* Requests to namespaces: to swap their cells, and to load cells by name. */
#include "cells/core/archive/archive.h"
#include "cells/core/lifecycle/lifecycle.h"
#include "cells/evolve/namespace/change.h"
#include "cells/evolve/namespace/copies.h"
#include "cells/evolve/namespace/namespace.h"
#include "cells/evolve/swap/swap.h"
#include "cells/host/log/log.h"
#include "cells/lib/string/string.h"
#include "cells/memory/heap/heap.h"

EXPORT(namespace_swap, KERNEL);
EXPORT(namespace_load, KERNEL);

/* ---- swaps ---- */

static bool has_cells(struct namespace_ref namespace_)
{
    for_each_cell (i)
        if (arena_cell(i)->state == CELL_LIVE && same(arena_cell(i)->namespace_, namespace_))
            return true;
    return false;
}

/* After a swap in the namespace or an ancestor: inherited cells that the namespace's own cells use may now depend on a
 * cell that is another one here. Copies those. */
static void copy_newly_stale(struct namespace_ref namespace_)
{
    if (!has_cells(namespace_))
        return;
    OWN(change) struct change *change = change_new(namespace_);
    OWN(heap) struct report *report = heap_alloc(sizeof *report);

    if (!change || !report)
        return;
    memset(report, 0, sizeof *report);
    change->copies = COPY_NEEDED;
    if (change_run(change, 0, report))
        log_warn("%s does not follow the change: %s: %s", space_name(namespace_), err_text(report->error),
                 report->text);
}

static enum err swap(const struct swap_order *order, struct report *report) NEEDS(loader_lock)
{
    return same(order->namespace_, NAMESPACE_ROOT) ? copies_swap(order, report) : change_child(order, report);
}

enum err namespace_swap(const struct swap_order *order, struct report *report)
{
    GUARD(loader) locked = loader_hold();

    memset(report, 0, sizeof *report);
    enum err e = swap(order, report);
    if (e || order->flags & SWAP_DRY_RUN)
        return e;
    for_each_namespace (i)
        if (!same(i, NAMESPACE_ROOT) && arena_namespace(i)->name && arena_namespace(i)->state == NAMESPACE_LIVE &&
            change_is_within(i, order->namespace_))
            copy_newly_stale(i);
    return e;
}

/* ---- loading by name ---- */

/* A file of the archive may have another version of a cell than the one that has its name: checksum_v2. */
static enum err check_name(const char *file, const char *cell, struct report *report)
{
    if (string_equal(file, cell))
        return ERR_OK;
    return report_refuse(report, ERR_INVALID, "%s is another version of cell %s", file, cell);
}

/* For the namespace alone, since nobody else has what it needs. */
static enum err load_apart(struct namespace_ref namespace_, const char *name, struct report *report)
{
    struct archive_member member;
    struct object_ref object;

    if (archive_find(name, &member))
        return ERR_NOT_FOUND;
    enum err e = lifecycle_keep_object(member.data, member.bytes, &object, report);
    if (e)
        return e;
    e = check_name(name, arena_string(arena_object(object)->name), report);
    if (!e)
        e = namespace_change(namespace_, &object, 1, 0, report);
    if (e)
        loader_drop_object(object);
    return e;
}

static enum err copy_stale(struct namespace_ref namespace_, struct cell_ref cell, struct report *report)
{
    OWN(change) struct change *change = change_new(namespace_);

    if (!change)
        return ERR_NOMEM;
    change->copies = COPY_WANTED;
    change->wanted = cell;
    return change_run(change, 0, report);
}

/* Unloads the cells that were made after cell number `before`, which is the newest that is to stay. */
static void unload_since(uint32_t before)
{
    OWN(heap) struct cell_ref *came = NULL;
    size_t count = 0, at = 0;

    for_each_cell (i)
        count += arena_cell(i)->state != CELL_FREE && (int32_t)(arena_cell(i)->number - before) > 0;
    if (!(came = heap_alloc(count * sizeof *came + 1)))
        return;
    for_each_cell (i)
        if (at < count && arena_cell(i)->state != CELL_FREE && (int32_t)(arena_cell(i)->number - before) > 0)
            came[at++] = i;
    (void)lifecycle_unload_all(came, at);
}

/* Loads the cell from the archive: into the root, for all, with a copy for the namespace where that needs one; or into
 * the namespace, if it fits only there. On failure unloads what was loaded. */
static enum err load_for_all(struct namespace_ref namespace_, const char *name, struct report *report)
{
    uint32_t before = arena_header()->cells_made;
    struct cell_ref cell;
    enum load_err loaded = loader_load(name, &cell, report);
    if (loaded == LOAD_UNFIT && !same(namespace_, NAMESPACE_ROOT))
        return load_apart(namespace_, name, report);
    enum err e = loaded ? report->error : check_name(name, name_of_cell(cell), report);
    if (!e && !same(namespace_, NAMESPACE_ROOT))
        e = copy_stale(namespace_, cell, report);
    if (e)
        unload_since(before);
    return e;
}

/* Whether the namespace, or one that it descends from, has an absence of that name. */
static bool lacks(struct namespace_ref namespace_, const char *name)
{
    bool found = false;

    for (; namespace_.index && !found; namespace_ = arena_namespace(namespace_)->parent)
        found = change_absence(namespace_, name).index;
    return found;
}

/* Overwrites `report`. */
static enum err load_in_namespace(struct namespace_ref namespace_, const char *name, struct report *report)
{
    struct cell_ref cell = namespace_cell(namespace_, name);
    enum err e = ERR_OK;

    if (!cell.index && lacks(namespace_, name))
        return report_refuse(report, ERR_NOT_FOUND, "%s lacks %s, since an earlier swap", space_name(namespace_), name);
    if (!cell.index)
        e = load_for_all(namespace_, name, report);
    else if (!same(namespace_, NAMESPACE_ROOT))
        e = copy_stale(namespace_, cell, report);
    return e ? e : loader_initialize(namespace_cell(namespace_, name), report);
}

enum err namespace_load(struct namespace_ref namespace_, const char *name, struct cell_ref *ret_cell,
                        struct report *report)
{
    GUARD(loader) locked = loader_hold();
    OWN(heap) struct report *load_report = heap_alloc(sizeof *load_report);

    if (!load_report)
        return ERR_NOMEM;
    enum err e = load_in_namespace(namespace_, name, load_report);
    string_copy(report->text, load_report->text, sizeof report->text);
    if (!e)
        *ret_cell = namespace_cell(namespace_, name);
    return e;
}
