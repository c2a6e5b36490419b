/* What the two ends of a channel share in the heap. Private to the versions of the channel cell: all of them must
 * keep this layout and this protocol, because a ring outlives the version that made it.
 *
 * Protocol: everything is read and changed under `lock`. sent - received is between 0 and `slots`. A task that
 * sleeps on a side counts in `sleepers`. Who changes what a side waits for wakes one task of it, and need not when
 * nobody sleeps there. A closed side stays closed; closing it wakes all tasks of the other side. The last end frees
 * the ring.
 *
 * Each word can be told from the others: `shape` from slots and bytes, `references` from the sides that are open,
 * `waiting` from sent and received. Each call compares them before it goes by them, and again after it has slept. If
 * they differ it marks the ring as broken and panics; all other calls then find the channel closed. What it held is
 * lost, as when the receiver fails. */
#pragma once
#include "cells/cell.h"
#include "cells/core/lock/lock.h"
#include "cells/core/panic/panic.h"
#include "cells/task/wait_queue/wait_queue.h"

enum channel_side { CHANNEL_SENDER = 0, CHANNEL_RECEIVER = 1 };

#define CHANNEL_SIDE_CLOSED 0x20c105edu /* one wrong bit of it, or of 0, is neither */

struct channel_ring {
    struct lock lock;
    uint32_t references; /* ends that are not released */
    uint32_t closed[2];  /* by enum channel_side: CHANNEL_SIDE_CLOSED or 0 */
    uint32_t sleepers[2];
    uint32_t broken;            /* not 0: one of these words was wrong */
    uint32_t waiting;           /* sent - received */
    uint64_t slots, bytes;      /* capacity in messages; bytes of one message */
    uint64_t shape;             /* channel_shape of these */
    uint64_t sent, received;    /* message n is in slot n % slots */
    struct wait_queue queue[2]; /* where each side sleeps */
    struct offer_guard *offers; /* version 3's; in others NULL, since its senders are rolled back before */
    uint8_t body[];
};

struct channel_end {
    struct channel_ring *ring;
    uint32_t side; /* enum channel_side */
};

static inline uint64_t channel_shape(uint64_t slots, uint64_t bytes)
{
    return ~slots ^ bytes << 32 ^ bytes >> 32;
}

static inline bool channel_side_is_closed(const struct channel_ring *ring, uint32_t side) NEEDS(ring->lock)
{
    return ring->closed[side] == CHANNEL_SIDE_CLOSED || ring->broken;
}

/* Ends that are not released, by `closed`. */
static inline uint32_t channel_open_sides(const struct channel_ring *ring) NEEDS(ring->lock)
{
    return (ring->closed[CHANNEL_SENDER] != CHANNEL_SIDE_CLOSED) +
           (ring->closed[CHANNEL_RECEIVER] != CHANNEL_SIDE_CLOSED);
}

static inline bool channel_ring_is_sound(const struct channel_ring *ring) NEEDS(ring->lock)
{
    bool marks = (!ring->closed[0] || ring->closed[0] == CHANNEL_SIDE_CLOSED) &&
                 (!ring->closed[1] || ring->closed[1] == CHANNEL_SIDE_CLOSED);

    return marks && ring->references == channel_open_sides(ring) && ring->waiting <= ring->slots &&
           ring->sent - ring->received == ring->waiting && ring->shape == channel_shape(ring->slots, ring->bytes);
}

/* Panics when the ring's words do not fit each other. */
static inline void channel_ring_check(struct channel_ring *ring) NEEDS(ring->lock)
{
    if (channel_ring_is_sound(ring) || ring->broken)
        return;
    ring->broken = 1;
    for (uint32_t side = 0; side < 2; side++)
        wait_queue_wake_all(&ring->queue[side]);
    panic("a channel is damaged");
}

/* Releases the end of one side. Returns whether it was the last, so that the caller frees the ring. `references` may be
 * wrong: then the sides that are open count. */
static inline bool channel_side_close(struct channel_ring *ring, uint32_t side) NEEDS(ring->lock)
{
    ring->closed[side] = CHANNEL_SIDE_CLOSED;
    ring->references = channel_open_sides(ring);
    return !ring->references;
}

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
