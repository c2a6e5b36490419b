/* See renew.h. */
#include "cells/kernel/renew/renew.h"
#include "cells/kernel/arena/arena.h"
#include "cells/kernel/loader/loader.h"
#include "cells/kernel/swap/swap.h"

CELL("renew", KERNEL, 1);
EXPORT(renew_nano_core, KERNEL);

#define ROOT 1 /* namespace */

/* The way in has no object, and nothing comes in its place. */
static void gather(struct swap_order *order)
{
    uint32_t used = arena_header()->table[ARENA_CELLS].used;

    for (uint32_t i = 1; i < used && order->olds < SWAP_SET_MAX; i++) {
        const struct arena_cell *cell = arena_cell(i);
        if (cell->state != CELL_LIVE || !arena_in_image(cell))
            continue;
        order->old[order->olds++] = i;
        if (cell->object)
            order->object[order->objects++] = cell->object;
    }
}

enum err renew_nano_core(struct arena_completion *report)
{
    GUARD(loader) turn = loader_hold();
    static struct swap_order order;

    order = (struct swap_order){.namespace_ = ROOT};
    gather(&order);
    return order.olds ? swap_cells(&order, report) : ERR_NOT_FOUND;
}
