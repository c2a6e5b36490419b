/* What the two ends of a channel share in the heap. Private to the versions of the channel cell: all of them must
 * keep this layout and this protocol, because a ring outlives the version that made it.
 *
 * Protocol: everything is read and changed under `lock`. sent - received is between 0 and `slots`. A task that
 * sleeps on a side counts in `sleepers`. Who changes what a side waits for wakes one task of it, and need not when
 * nobody sleeps there. A closed side stays closed; closing it wakes all tasks of the other side. The last end frees
 * the ring. */
#pragma once
#include "cells/cell.h"
#include "cells/core/lock/lock.h"
#include "cells/task/wait_queue/wait_queue.h"

enum channel_side { CHANNEL_SENDER = 0, CHANNEL_RECEIVER = 1 };

struct channel_ring {
    struct lock lock;
    uint32_t references;
    uint32_t closed[2]; /* by enum channel_side */
    uint32_t sleepers[2];
    uint64_t slots, bytes;      /* capacity in messages; bytes of one message */
    uint64_t sent, received;    /* message n is in slot n % slots */
    struct wait_queue queue[2]; /* where each side sleeps */
    uint8_t body[];
};

struct channel_end {
    struct channel_ring *ring;
    uint32_t side; /* enum channel_side */
};

/* Counts a sleeper until the end of the scope, faults included. */
struct channel_sleeper_guard {
    uint32_t *count;
};

static inline struct channel_sleeper_guard channel_sleeper(struct channel_ring *ring, uint32_t side) NEEDS(ring->lock)
{
    ring->sleepers[side]++;
    return (struct channel_sleeper_guard){&ring->sleepers[side]};
}

static inline void channel_sleeper_guard_end(struct channel_sleeper_guard *guard)
{
    (*guard->count)--;
}
