/* See progress.h. */
#include "cells/app/workload/progress.h"
#include "cells/core/arena/arena.h"
#include "cells/core/cpu/cpu.h"

#define LAG_TIMES 32

_Static_assert(PROGRESS_CPUS >= CPU_MAX);

/* How many CPUs have records, which are those from 1 on. */
static uint32_t count_cpus(void)
{
    uint32_t count = arena_header()->table[ARENA_CPUS].used - 1;

    return count < PROGRESS_CPUS ? count : PROGRESS_CPUS;
}

void progress_begin(struct progress *ret_progress)
{
    *ret_progress = (struct progress){};
    for (uint32_t i = 0; i < count_cpus(); i++)
        ret_progress->ticks[i] = arena_cpu(i + 1)->ticks;
}

uint64_t progress_ns(const struct progress *progress)
{
    uint64_t fewest = UINT64_MAX, most = 0;

    for (uint32_t i = 0; i < count_cpus(); i++) {
        uint64_t ticks = arena_cpu(i + 1)->ticks - progress->ticks[i];
        if (!arena_cpu(i + 1)->online)
            continue;
        fewest = ticks < fewest ? ticks : fewest;
        most = ticks > most ? ticks : most;
    }
    fewest = fewest < most ? fewest : most;
    return PROGRESS_TICK_NS * (fewest > most / LAG_TIMES ? fewest : most / LAG_TIMES);
}
