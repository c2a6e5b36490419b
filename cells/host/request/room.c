/* See room.h. */
#include "cells/host/request/room.h"
#include "cells/core/arena/arena.h"
#include "cells/core/cpu/cpu.h"
#include "cells/evolve/reap/reap.h"
#include "cells/task/scheduler/scheduler.h"

#define LOOK_NS 20000000 /* between two attempts to free cells: each searches all of memory */

bool room_is_short(enum err error)
{
    return error == ERR_FULL || error == ERR_NOMEM;
}

static size_t count_replaced(void)
{
    size_t count = 0;

    for_each_cell (i)
        count += arena_cell(i)->state == CELL_OLD;
    return count;
}

bool room_make(uint64_t until_ns)
{
    for (size_t before; (before = count_replaced()) > 0;) {
        if (reap_replaced() < before)
            return true;
        if (cpu_ns() >= until_ns)
            return false;
        scheduler_sleep_ns(LOOK_NS);
    }
    return false;
}
