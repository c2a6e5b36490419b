/* See renew.h. */
#include "cells/evolve/renew/renew.h"
#include "cells/core/arena/arena.h"
#include "cells/core/loader/loader.h"
#include "cells/evolve/swap/swap.h"

CELL("renew", KERNEL, 1);
EXPORT(renew_nano_core, KERNEL);

/* The cell of the entry point has no object, and is replaced by nothing. */
static void gather(struct swap_order *order)
{
    for_each_cell (i) {
        const struct arena_cell *cell = arena_cell(i);
        if (order->olds == SWAP_SET_MAX || cell->state != CELL_LIVE || !arena_in_image(cell))
            continue;
        order->old[order->olds++] = i;
        if (cell->object.index)
            order->object[order->objects++] = cell->object;
    }
}

enum err renew_nano_core(struct report *report)
{
    GUARD(loader) locked = loader_hold();
    static struct swap_order order GUARDED_BY(loader_lock);

    order = (struct swap_order){.namespace_ = NAMESPACE_ROOT};
    gather(&order);
    return order.olds ? swap_cells(&order, report) : ERR_NOT_FOUND;
}
