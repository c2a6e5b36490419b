/* Two tasks that want the same CPU, of low and of high priority where the scheduler knows of that: logs how far each came.
 * For tests that swap the scheduler from the host. */
#include "cells/kernel/loader/loader.h"
#include "cells/kernel/log/log.h"
#include "cells/kernel/scheduler/scheduler.h"
#include "cells/kernel/task/task.h"

CELL("racers", KERNEL, 1);

#define RACERS    2
#define WINDOW_NS 1500000000ull

static const unsigned priorities[RACERS] = {1, 16};
static uint64_t loops[RACERS];
static bool stopping;

static void race(uint64_t self)
{
    while (!__atomic_load_n(&stopping, __ATOMIC_RELAXED))
        loops[self]++;
}

static bool set_priority(const struct task *task, unsigned priority)
{
    enum err (*set)(const struct task *, unsigned);
    uint64_t address;

    if (loader_symbol("scheduler_set_priority", &address))
        return true; /* all are equal */
    set = (enum err(*)(const struct task *, unsigned))address;
    return set(task, priority) == ERR_OK;
}

static int racers_main(int, char **)
{
    struct task *racer[RACERS];
    bool fine = true;

    stopping = false;
    for (unsigned i = 0; i < RACERS; i++) {
        loops[i] = 0;
        racer[i] = task_spawn("racer", race, i, &(struct task_options){.pinned = 1});
        fine &= racer[i] && set_priority(racer[i], priorities[i]);
    }
    scheduler_sleep_ns(WINDOW_NS);
    __atomic_store_n(&stopping, true, __ATOMIC_RELAXED);
    for (unsigned i = 0; i < RACERS; i++)
        fine &= racer[i] && task_join(racer[i], NULL) == ERR_OK;
    log_info("racers: %lu %lu%s", (unsigned long)loops[0], (unsigned long)loops[1], fine ? "" : " failed");
    return 0;
}
MAIN(racers_main);
