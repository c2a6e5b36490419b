/* See channel.h. Every message is copied in one piece and wakes the other side; tasks and time are the wait queue's. */
#include "cells/kernel/channel/channel.h"
#include "cells/kernel/arena/arena.h"
#include "cells/kernel/channel/ends.h"
#include "cells/kernel/panic/panic.h"
#include "cells/kernel/task/call.h"
#include "cells/lib/string/string.h"

CELL("channel", KERNEL, 1);
EXPORT(channel_send, APPLICATION);
EXPORT(channel_receive, APPLICATION);
EXPORT(channel_waiting, APPLICATION);
EXPORT(channel_totals, APPLICATION);

static struct channel_totals totals;

static void account(uint64_t bytes)
{
    __atomic_fetch_add(&totals.messages, 1, __ATOMIC_RELAXED);
    __atomic_fetch_add(&totals.bytes, bytes, __ATOMIC_RELAXED);
}

void channel_totals(struct channel_totals *ret_totals)
{
    ret_totals->messages = __atomic_load_n(&totals.messages, __ATOMIC_RELAXED);
    ret_totals->bytes = __atomic_load_n(&totals.bytes, __ATOMIC_RELAXED);
}

/* Messages under way. Panics, and so closes the channel, when the counts can't be true. */
static uint64_t depth_of(const struct channel_ring *ring) NEEDS(ring->lock)
{
    uint64_t depth = ring->sent - ring->received;

    assert(depth <= ring->slots);
    return depth;
}

static uint8_t *slot(struct channel_ring *ring, uint64_t message) NEEDS(ring->lock)
{
    return ring->body + message % ring->slots * ring->bytes;
}

/* Waits for a free slot. */
static enum err wait_room(struct channel_ring *ring, struct lock_guard *held, uint64_t deadline) NEEDS(ring->lock)
{
    while (!ring->closed[CHANNEL_RECEIVER] && depth_of(ring) >= ring->slots) {
        enum err e = sleep_on(ring, CHANNEL_SENDER, held, deadline);
        if (e != ERR_OK)
            return e;
    }
    return ring->closed[CHANNEL_RECEIVER] ? ERR_CLOSED : ERR_OK;
}

enum err channel_send(struct channel_end *sender, const void *message, uint64_t timeout_ns)
{
    struct channel_ring *ring = sender->ring;
    uint64_t deadline = deadline_of(timeout_ns);

    REPEATABLE(call, channel_send, (uint64_t)sender, (uint64_t)message, timeout_ns);
    assert(sender->side == CHANNEL_SENDER);
    GUARD(lock) held = lock_take(&ring->lock);
    enum err e = wait_room(ring, &held, deadline);
    if (e != ERR_OK)
        return e;
    account(ring->bytes);
    memcpy(slot(ring, ring->sent), message, ring->bytes);
    ring->sent++;
    wait_queue_wake_one(&ring->queue[CHANNEL_RECEIVER]);
    arena_count(COUNTER_messages, 1);
    return ERR_OK;
}

enum err channel_receive(struct channel_end *receiver, void *message, uint64_t timeout_ns)
{
    struct channel_ring *ring = receiver->ring;
    uint64_t deadline = deadline_of(timeout_ns);

    REPEATABLE(call, channel_receive, (uint64_t)receiver, (uint64_t)message, timeout_ns);
    assert(receiver->side == CHANNEL_RECEIVER);
    GUARD(lock) held = lock_take(&ring->lock);
    while (!ring->closed[CHANNEL_SENDER] && !depth_of(ring)) {
        enum err e = sleep_on(ring, CHANNEL_RECEIVER, &held, deadline);
        if (e != ERR_OK)
            return e;
    }
    if (!depth_of(ring))
        return ERR_CLOSED;
    memcpy(message, slot(ring, ring->received), ring->bytes);
    ring->received++;
    wait_queue_wake_one(&ring->queue[CHANNEL_SENDER]);
    return ERR_OK;
}

size_t channel_waiting(const struct channel_end *end)
{
    struct channel_ring *ring = end->ring;
    GUARD(lock) held = lock_take(&ring->lock);

    return depth_of(ring);
}

static enum err channel_transfer(const struct cell_transfer *transfer)
{
    return totals_transfer(transfer, &totals);
}
TRANSFER(channel_transfer);
