/* See audit.h. Looks while all other CPUs stand still, so that no task is on its way between two places. */
#include "cells/kernel/recovery/audit.h"
#include "cells/kernel/arena/arena.h"
#include "cells/kernel/park/park.h"
#include "cells/kernel/scheduler/scheduler.h"

static uint64_t audited; /* faults up to this one */

void audit_tasks(void)
{
    uint64_t newest = __atomic_load_n(&arena_header()->fault_seq, __ATOMIC_RELAXED);

    if (newest == audited)
        return;
    GUARD(park) parked = park_all();
    audited = newest;
    scheduler_rebuild();
}
