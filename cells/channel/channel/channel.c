/* Version 1 of the channel cell (channel.h): every message that is sent or received wakes a task of the other side.
 * ring.h says what holds for a ring. */
#include "cells/channel/channel/channel.h"
#include "cells/channel/channel/ends.h"
#include "cells/core/arena/arena.h"
#include "cells/core/panic/panic.h"
#include "cells/lib/string/string.h"
#include "cells/task/call/call.h"

CELL("channel", KERNEL, 1);
EXPORT(channel_send, APPLICATION);
EXPORT(channel_receive, APPLICATION);
EXPORT(channel_waiting, APPLICATION);
EXPORT(channel_totals, APPLICATION);
INVARIANT_LENGTH(struct channel_ring, waiting, slots);

static struct channel_totals totals;

static void count_message(uint64_t bytes)
{
    __atomic_fetch_add(&totals.messages, 1, __ATOMIC_RELAXED);
    __atomic_fetch_add(&totals.bytes, bytes, __ATOMIC_RELAXED);
}

void channel_totals(struct channel_totals *ret_totals)
{
    ret_totals->messages = __atomic_load_n(&totals.messages, __ATOMIC_RELAXED);
    ret_totals->bytes = __atomic_load_n(&totals.bytes, __ATOMIC_RELAXED);
}

static uint8_t *slot(struct channel_ring *ring, uint64_t message) NEEDS(ring->lock)
{
    return ring->body + message % ring->slots * ring->bytes;
}

/* Waits for a free slot. */
static enum channel_err wait_for_slot(struct channel_ring *ring, struct lock_guard *held, uint64_t deadline)
    NEEDS(ring->lock)
{
    channel_ring_check(ring);
    while (!channel_side_is_closed(ring, CHANNEL_RECEIVER) && ring->waiting >= ring->slots) {
        enum channel_err e = sleep_on(ring, CHANNEL_SENDER, held, deadline);
        if (e != CHANNEL_OK)
            return e;
        channel_ring_check(ring);
    }
    return channel_side_is_closed(ring, CHANNEL_RECEIVER) ? CHANNEL_CLOSED : CHANNEL_OK;
}

enum channel_err channel_send(struct channel_end *sender, const void *message, uint64_t timeout_ns)
{
    struct channel_ring *ring = sender->ring;
    uint64_t deadline = deadline_of(timeout_ns);

    REPEATABLE(call, channel_send, (uint64_t)sender, (uint64_t)message, timeout_ns);
    assert(sender->side == CHANNEL_SENDER);
    GUARD(lock) held = lock_take(&ring->lock);
    enum channel_err e = wait_for_slot(ring, &held, deadline);
    if (e != CHANNEL_OK)
        return e;
    count_message(ring->bytes);
    memcpy(slot(ring, ring->sent), message, ring->bytes);
    ring->sent++;
    ring->waiting++;
    wait_queue_wake_one(&ring->queue[CHANNEL_RECEIVER]);
    arena_count(COUNTER_messages, 1);
    return CHANNEL_OK;
}

enum channel_err channel_receive(struct channel_end *receiver, void *message, uint64_t timeout_ns)
{
    struct channel_ring *ring = receiver->ring;
    uint64_t deadline = deadline_of(timeout_ns);

    REPEATABLE(call, channel_receive, (uint64_t)receiver, (uint64_t)message, timeout_ns);
    assert(receiver->side == CHANNEL_RECEIVER);
    GUARD(lock) held = lock_take(&ring->lock);
    channel_ring_check(ring);
    while (!channel_side_is_closed(ring, CHANNEL_SENDER) && !ring->waiting) {
        enum channel_err e = sleep_on(ring, CHANNEL_RECEIVER, &held, deadline);
        if (e != CHANNEL_OK)
            return e;
        channel_ring_check(ring);
    }
    if (!ring->waiting || ring->broken)
        return CHANNEL_CLOSED;
    memcpy(message, slot(ring, ring->received), ring->bytes);
    ring->received++;
    ring->waiting--;
    wait_queue_wake_one(&ring->queue[CHANNEL_SENDER]);
    return CHANNEL_OK;
}

size_t channel_waiting(const struct channel_end *end)
{
    struct channel_ring *ring = end->ring;
    GUARD(lock) held = lock_take(&ring->lock);

    return ring->waiting;
}

static enum err channel_transfer(const struct cell_transfer *transfer)
{
    return totals_transfer(transfer, &totals);
}
TRANSFER(channel_transfer);
