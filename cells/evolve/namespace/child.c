/* A swap in a child of cells that it holds, inherits or lacks: one transaction. What it holds is swapped; in the place
 * of what it inherits come cells of its own, and copies of what depends on those, as with any change; what it is to
 * lack is hidden by an absence; what it is to inherit again takes the place of its own cell. The ancestors' cells stay.
 * */
#include "cells/core/lifecycle/lifecycle.h"
#include "cells/evolve/namespace/change.h"
#include "cells/evolve/namespace/namespace.h"
#include "cells/evolve/plan/plan.h"
#include "cells/evolve/swap/swap.h"
#include "cells/lib/string/string.h"
#include "cells/memory/heap/heap.h"

enum { PARTS = 2 * SWAP_SET_MAX };

/* What there is of one name, and what is asked for. References may be to none. */
struct part {
    uint32_t name;
    struct cell_ref own;
    struct cell_ref parents;  /* that the namespace inherits, or would without the other two */
    struct cell_ref absence;  /* that there is no cell */
    struct object_ref object; /* none: the namespace is to lack the cell */
    bool listed;              /* the cell that the namespace sees is to go */
    bool wanted;              /* the parent's is to be inherited, if it can be */
    bool inherits;            /* and it can */
};

struct parts {
    struct change *change;
    struct part part[PARTS];
    size_t count;
    struct swap_order order;
    struct object_ref beside[SWAP_SET_MAX]; /* that take the place of inherited cells */
    struct cell_ref hidden[PARTS], inherited[PARTS], absence[PARTS];
    size_t besides;
    struct report why; /* why a cell cannot be inherited */
};

static const char *name_of(const struct part *part)
{
    return arena_string(part->name);
}

/* ---- what is asked for ---- */

static struct part *part_of(struct parts *parts, uint32_t name)
{
    struct namespace_ref namespace_ = parts->order.namespace_;
    const char *text = arena_string(name);

    for (size_t i = 0; i < parts->count; i++)
        if (parts->part[i].name == name)
            return &parts->part[i];
    struct part *part = &parts->part[parts->count++];
    struct cell_ref there = namespace_cell(namespace_, text);
    *part = (struct part){.name = name,
                          .parents = namespace_cell(arena_namespace(namespace_)->parent, text),
                          .absence = change_absence(namespace_, text)};
    if (there.index && same(arena_cell(there)->namespace_, namespace_))
        part->own = there;
    return part;
}

static bool is_inherited(const struct part *part)
{
    return part->parents.index && !part->own.index && !part->absence.index;
}

static enum err add_old(struct parts *parts, struct cell_ref cell, struct report *report)
{
    struct part *part = part_of(parts, arena_cell(cell)->name);

    if (!same(cell, part->own) && !(is_inherited(part) && same(cell, part->parents)))
        return report_refuse(report, ERR_NOT_FOUND, "no cell %s is loaded there", name_of(part));
    if (part->listed)
        return report_refuse(report, ERR_INVALID, "cell %s is to go twice", name_of(part));
    part->listed = true;
    return ERR_OK;
}

static bool is_from(struct cell_ref cell, struct object_ref object)
{
    struct object_ref its = arena_cell(cell)->object;

    return its.index && arena_object(its)->hash == arena_object(object)->hash;
}

static bool may_inherit(struct parts *parts, const struct part *part)
{
    if (!part->parents.index || !is_from(part->parents, part->object) || (part->own.index && !part->listed))
        return false;
    if (!part->own.index || !arena_cell(part->own)->data_bytes)
        return true;
    (void)report_refuse(&parts->why, ERR_REFUSED, "%s has static data in %s, which would be lost", name_of(part),
                        space_name(parts->order.namespace_));
    return false;
}

static enum err add_object(struct parts *parts, struct object_ref object, bool wanted, struct report *report)
{
    struct part *part = part_of(parts, arena_object(object)->name);

    if (part->object.index)
        return report_refuse(report, ERR_EXISTS, "two objects of cell %s", name_of(part));
    part->object = object;
    part->wanted = wanted;
    part->inherits = wanted && may_inherit(parts, part);
    return ERR_OK;
}

static enum err gather(struct parts *parts, const struct swap_order *asked, struct report *report)
{
    enum err e = ERR_OK;

    if (asked->olds > SWAP_SET_MAX || asked->objects > SWAP_SET_MAX || asked->inherits > asked->objects)
        return ERR_INVALID;
    for (size_t i = 0; i < asked->olds && !e; i++)
        e = asked->old[i].index ? add_old(parts, asked->old[i], report) : ERR_INVALID;
    for (size_t i = 0; i < asked->objects && !e; i++)
        e = asked->object[i].index ? add_object(parts, asked->object[i], i + asked->inherits >= asked->objects, report)
                                   : ERR_INVALID;
    return e;
}

/* ---- what can be inherited ---- */

/* Finds what is hidden and stale, if the parts are as they are asked for now. */
static void find_stale(struct parts *parts)
{
    struct change *change = parts->change;

    change->hidden.count = change->stale.count = change->kept.count = change->inherited.count = 0;
    for (size_t i = 0; i < parts->count; i++) {
        const struct part *part = &parts->part[i];
        if (part->inherits)
            list_add(&change->inherited, part->parents);
        else if (is_inherited(part))
            list_add(&change->hidden, part->parents);
    }
    change_find_stale(change);
}

/* A parent's cell that would have to be copied cannot be inherited. What is not, hides the parent's: so again. */
static void find_inherited(struct parts *parts)
{
    bool again = true;

    while (again) {
        again = false;
        find_stale(parts);
        for (size_t i = 0; i < parts->count; i++) {
            struct part *part = &parts->part[i];
            if (!part->inherits || !list_has(&parts->change->stale, part->parents))
                continue;
            (void)report_refuse(&parts->why, ERR_BUSY, "the parent's %s depends on what is another one in %s",
                                name_of(part), space_name(parts->order.namespace_));
            part->inherits = false;
            again = true;
        }
    }
}

/* ---- the order ---- */

static void add_absence(struct parts *parts, struct cell_ref absence)
{
    if (absence.index)
        parts->absence[parts->order.absences++] = absence;
}

static void let_go(struct parts *parts, const struct part *part)
{
    if (part->own.index && part->listed)
        parts->order.old[parts->order.olds++] = part->own;
}

static enum err place_object(struct parts *parts, const struct part *part, struct report *report)
{
    enum err e;

    if (part->wanted && part->own.index && is_from(part->own, part->object))
        return ERR_OK; /* it stays */
    let_go(parts, part);
    add_absence(parts, part->absence);
    if (is_inherited(part)) {
        parts->beside[parts->besides++] = part->object;
        e = change_check_object(parts->change, part->object);
        string_copy(report->text, parts->change->report.text, sizeof report->text);
        return e;
    }
    parts->order.object[parts->order.objects++] = part->object;
    e = change_check_state(parts->order.namespace_, part->object, report);
    if (e == ERR_REFUSED && part->wanted && parts->why.text[0])
        string_copy(report->text, parts->why.text, sizeof report->text);
    return e;
}

static enum err place_none(struct parts *parts, const struct part *part, struct report *report)
{
    struct cell_ref absence;

    let_go(parts, part);
    if (!part->parents.index)
        return ERR_OK;
    if (arena_in_image(arena_cell(part->parents)))
        return report_refuse(report, ERR_NOT_SWAPPABLE, "%s is part of the nano_core image, which all namespaces have",
                             name_of(part));
    if (is_inherited(part))
        parts->hidden[parts->order.hiddens++] = part->parents;
    enum err e = lifecycle_new_absence(parts->order.namespace_, name_of(part), &absence, report);
    if (!e)
        add_absence(parts, absence);
    return e;
}

static void place_inherited(struct parts *parts, const struct part *part)
{
    let_go(parts, part);
    add_absence(parts, part->absence);
    parts->inherited[parts->order.inheriteds++] = part->parents;
}

static enum err place_all(struct parts *parts, struct report *report)
{
    enum err e = ERR_OK;

    for (size_t i = 0; i < parts->count && !e; i++) {
        const struct part *part = &parts->part[i];
        if (part->inherits)
            place_inherited(parts, part);
        else
            e = part->object.index ? place_object(parts, part, report) : place_none(parts, part, report);
    }
    return e;
}

/* Adds the objects apart, then those of the copies. Without anything that is hidden now, there is nothing to copy. */
static enum err add_besides(struct parts *parts, struct report *report)
{
    struct swap_order *order = &parts->order;
    struct list *stale = &parts->change->stale;

    if (!parts->besides && !order->hiddens)
        stale->count = 0;
    if (order->objects + parts->besides + stale->count > SWAP_SET_MAX)
        return report_refuse(report, ERR_FULL, "%lu cells depend on what is to be changed: too many for one swap",
                             stale->count);
    order->besides = parts->besides + stale->count;
    for (size_t i = 0; i < parts->besides; i++) {
        const char *name = arena_string(arena_object(parts->beside[i])->name);
        order->object[order->objects++] = parts->beside[i];
        parts->hidden[order->hiddens++] = namespace_cell(order->namespace_, name);
    }
    for (size_t i = 0; i < stale->count; i++) {
        order->object[order->objects++] = arena_cell(stale->cell[i])->object;
        parts->hidden[order->hiddens++] = stale->cell[i];
    }
    return ERR_OK;
}

/* ---- the whole ---- */

static enum err prepare(struct parts *parts, const struct swap_order *asked, struct report *report)
{
    struct swap_order *order = &parts->order;

    *order = *asked;
    order->olds = order->objects = order->inherits = 0;
    order->hidden = parts->hidden;
    order->inherited = parts->inherited;
    order->absence = parts->absence;
    enum err e = gather(parts, asked, report);
    if (e)
        return e;
    find_inherited(parts);
    e = place_all(parts, report);
    if (!e && order->recipes && !order->olds)
        e = report_refuse(report, ERR_UNSUPPORTED, "recipes are for cells that namespace %s holds itself",
                          space_name(order->namespace_));
    return e;
}

static void show_kept(const struct parts *parts)
{
    const struct list *kept = &parts->change->kept;

    for (size_t i = 0; parts->order.flags & SWAP_DRY_RUN && i < kept->count; i++)
        preview_cell(parts->order.preview, arena_cell(kept->cell[i])->namespace_, kept->cell[i], NO_OBJECT, NO_CELL,
                     PLAN_CELL_STAYS);
}

static enum err carry_out(struct parts *parts, const struct swap_order *asked, struct report *report)
{
    const struct swap_order *order = &parts->order;

    if (!order->olds && !order->absences && !asked->inherits)
        return change_objects(asked->namespace_, asked->object, asked->objects,
                              asked->flags & SWAP_DRY_RUN ? NAMESPACE_DRY_RUN : 0, asked->preview, report);
    enum err e = add_besides(parts, report);
    if (e)
        return report->error = e;
    show_kept(parts);
    e = swap_cells(order, report);
    if (!e)
        change_report_cells(parts->change, report);
    return e;
}

enum err change_child(const struct swap_order *asked, struct report *report)
{
    OWN(change) struct change *change = change_new(asked->namespace_);
    OWN(heap) struct parts *parts = heap_alloc(sizeof *parts);

    if (!change || !parts)
        return report->error = ERR_NOMEM;
    memset(parts, 0, sizeof *parts);
    parts->change = change;
    enum err e = report->error = prepare(parts, asked, report);
    if (!e && parts->order.olds + parts->order.objects + parts->besides + parts->order.absences)
        e = carry_out(parts, asked, report);
    else if (!e)
        string_copy(report->text, parts->why.text, sizeof report->text); /* nothing is to be done */
    for (size_t i = 0; i < parts->order.absences; i++)
        lifecycle_free_absence(parts->absence[i]);
    return e;
}
