/* See quiescence.h. Backwards along the edges: the cost depends on the old cells, not on what is loaded. */
#include "cells/core/arena/arena.h"
#include "cells/core/exception/exception.h"
#include "cells/evolve/quiescence/quiescence.h"
#include "cells/lib/string/string.h"
#include "cells/task/task/task.h"

EXPORT(reach_find, KERNEL);
EXPORT(reach_has, KERNEL);
EXPORT(reach_has_task, KERNEL);

bool reach_has(const struct reach *reach, struct section_ref section)
{
    return section.index && arena_section(section)->search == reach->search;
}

/* Appends the section to the queue, whose end is at `*end`, unless it has been in there. */
static void enqueue(const struct reach *reach, struct section_ref section, struct section_ref *end) NEEDS(loader_lock)
{
    struct arena_section *s = arena_section(section);

    if (s->search == reach->search)
        return;
    s->search = reach->search;
    s->next_reached = NO_SECTION;
    if (end->index)
        arena_section(*end)->next_reached = section;
    *end = section;
}

/* 0 is in sections that no search has reached. Numbers come round after 2^32 swaps. */
static uint32_t next_search(void) NEEDS(loader_lock)
{
    if (++arena_header()->search)
        return arena_header()->search;
    for_each_section (i)
        arena_section(i)->search = 0;
    return arena_header()->search = 1;
}

void reach_find(struct reach *ret_reach, const struct plan *plan)
{
    struct section_ref interrupts = arena_section_at((uint64_t)exception_dispatch), end = {};

    ret_reach->search = next_search();
    for (size_t i = 0; i < plan->pairs; i++)
        enqueue(ret_reach, plan->pair[i].old, &end);
    for (struct section_ref i = plan->pairs ? plan->pair[0].old : NO_SECTION; i.index;
         i = arena_section(i)->next_reached)
        for_each_edge_to (e, i)
            enqueue(ret_reach, arena_edge(e)->from, &end);
    ret_reach->all = plan->core || !interrupts.index || reach_has(ret_reach, interrupts);
}

/* Three things are called without an edge: an application's main; what the teardown task, which is immortal, calls for
 * ended tasks; and the functions in cells' records, by who has the loader lock and thus swaps. */
bool reach_has_task(const struct reach *reach, const struct task *task)
{
    const struct task_functions *f = &task->functions;

    return reach->all || task->immortal || task == task_this() || !f->entry.section.index ||
           reach_has(reach, f->entry.section) || reach_has(reach, f->main.section);
}
