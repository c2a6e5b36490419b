/* See reach.h. Backwards along the edges: what is visited depends on the old cells, not on what is loaded. */
#include "cells/kernel/swap/reach.h"
#include "cells/kernel/arena/arena.h"
#include "cells/kernel/exception/exception.h"
#include "cells/kernel/task/task.h"
#include "cells/lib/string/string.h"

static size_t add(struct reach *reach, size_t count, uint32_t section)
{
    if (reach->reached[section])
        return count;
    reach->reached[section] = 1;
    reach->queue[count] = section;
    return count + 1;
}

void reach_find(struct reach *reach, const struct plan *plan)
{
    uint32_t interrupts = arena_section_at((uint64_t)exception_dispatch);
    size_t count = 0;

    memset(reach->reached, 0, sizeof reach->reached);
    for (size_t i = 0; i < plan->twins; i++)
        count = add(reach, count, plan->twin[i].old);
    for (size_t i = 0; i < count; i++)
        for (uint32_t e = arena_section(reach->queue[i])->first_in; e; e = arena_edge(e)->next_in)
            count = add(reach, count, arena_edge(e)->from);
    reach->all = !interrupts || reach->reached[interrupts];
}

/* Without an edge are called: an application's main, what the reaper calls for ended tasks (it is immortal), and, under the
 * loader's turn, thus by who swaps, the functions of cells' records. */
bool reach_task(const struct reach *reach, const struct task *task)
{
    return reach->all || task->immortal || task == task_this() || !task->entry.section ||
           reach->reached[task->entry.section] || (task->main.section && reach->reached[task->main.section]);
}
