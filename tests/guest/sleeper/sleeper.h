/* A cell whose calls sleep, for the test of taking them back: some may be begun anew, one may not. */
#pragma once
#include "cells/cell.h"
#include "cells/kernel/lock/lock.h"
#include "cells/kernel/wait_queue/wait_queue.h"

/* Shared by the test and all versions; what is counted changes under the lock. */
struct sleeper {
    struct lock lock;
    struct wait_queue queue;
    uint32_t open;      /* sleepers go on */
    uint32_t fail;      /* the next scope that ends faults */
    uint32_t entered;   /* calls that began, begun anew or not */
    uint32_t inside;    /* of these, not yet left in whichever way */
    uint32_t gone_back; /* scopes that ended without the call returning */
    struct call *call;  /* of the last one that entered */
};

/* Sleeps until `open`, with a time-out that does not come when `ns` is 0. A number that is made of all arguments and, above
 * bit 56, the version that returned it; UINT64_MAX after a time-out. May be begun anew. */
uint64_t sleeper_wait(struct sleeper *sleeper, uint64_t ns, uint64_t a, uint64_t b, uint64_t c, uint64_t d);
/* Counts twice, sleeps through sleeper_wait. May be begun anew, and so undoes its count when it is taken back. */
uint64_t sleeper_outer(struct sleeper *sleeper, uint64_t *count);
/* Counts, which nobody undoes, and sleeps. May not be begun anew. */
uint64_t sleeper_once(struct sleeper *sleeper, uint64_t *count);

static inline uint64_t sleeper_mix(uint64_t version, uint64_t a, uint64_t b, uint64_t c, uint64_t d)
{
    return version << 56 | (a + 3 * b + 5 * c + 7 * d);
}
