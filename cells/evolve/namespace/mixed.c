/* A swap in a child of cells of which it holds some and inherits others: one transaction. What it holds is swapped; in
 * the place of what it inherits come cells of its own, and copies of what depends on those, as with any change. The
 * parent's stay. */
#include "cells/evolve/namespace/change.h"
#include "cells/evolve/namespace/namespace.h"
#include "cells/evolve/swap/swap.h"
#include "cells/lib/string/string.h"
#include "cells/memory/heap/heap.h"

struct mixed {
    struct swap_order order;
    struct object_ref beside[SWAP_SET_MAX]; /* that take the place of inherited cells */
    struct cell_ref hidden[SWAP_SET_MAX];
    size_t besides;
};

static bool is_inherited(struct namespace_ref namespace_, struct cell_ref cell)
{
    return cell.index && !same(arena_cell(cell)->namespace_, namespace_);
}

/* Sorts what is asked for: cells that the namespace holds, and objects that are for them or for new names, into the
 * order; the other objects apart. */
static void sort(const struct swap_order *asked, struct mixed *mixed)
{
    struct swap_order *order = &mixed->order;

    *order = *asked;
    order->olds = order->objects = 0;
    for (size_t i = 0; i < asked->olds; i++)
        if (!is_inherited(asked->namespace_, asked->old[i]))
            order->old[order->olds++] = asked->old[i];
    for (size_t i = 0; i < asked->objects; i++) {
        struct cell_ref there = namespace_cell(asked->namespace_, arena_string(arena_object(asked->object[i])->name));
        if (is_inherited(asked->namespace_, there))
            mixed->beside[mixed->besides++] = asked->object[i];
        else
            order->object[order->objects++] = asked->object[i];
    }
}

/* Adds the objects apart, then those of the copies. */
static enum err add_besides(const struct change *change, struct mixed *mixed, struct report *report)
{
    struct swap_order *order = &mixed->order;
    const struct list *stale = &change->stale;

    if (order->objects + mixed->besides + stale->count > SWAP_SET_MAX)
        return report_refuse(report, ERR_FULL, "%lu cells depend on what is to be changed: too many for one swap",
                             stale->count);
    order->besides = mixed->besides + stale->count;
    order->hidden = mixed->hidden;
    for (size_t i = 0; i < mixed->besides; i++) {
        const char *name = arena_string(arena_object(mixed->beside[i])->name);
        order->object[order->objects++] = mixed->beside[i];
        mixed->hidden[order->hiddens++] = namespace_cell(order->namespace_, name);
    }
    for (size_t i = 0; i < stale->count; i++) {
        order->object[order->objects++] = arena_cell(stale->cell[i])->object;
        mixed->hidden[order->hiddens++] = stale->cell[i];
    }
    return ERR_OK;
}

static enum err prepare(struct change *change, struct mixed *mixed, struct report *report)
{
    enum err e = ERR_OK;

    change->object = mixed->beside;
    change->objects = mixed->besides;
    for (size_t i = 0; i < mixed->besides && !e; i++)
        e = change_check_object(change, mixed->beside[i]);
    if (e) {
        string_copy(report->text, change->report.text, sizeof report->text);
        return e;
    }
    change_find_stale(change);
    return add_besides(change, mixed, report);
}

enum err change_mixed(const struct swap_order *asked, struct report *report)
{
    OWN(change) struct change *change = change_new(asked->namespace_);
    OWN(heap) struct mixed *mixed = heap_alloc(sizeof *mixed);

    if (!change || !mixed)
        return report->error = ERR_NOMEM;
    memset(mixed, 0, sizeof *mixed);
    sort(asked, mixed);
    enum err e = prepare(change, mixed, report);
    if (e)
        return report->error = e;
    e = swap_cells(&mixed->order, report);
    if (!e)
        change_report_cells(change, report);
    return e;
}
