/* See channel.h. Every message is copied in one piece and wakes the other side; tasks and time are the wait queue's. */
#include "cells/kernel/channel/channel.h"
#include "cells/kernel/arena/arena.h"
#include "cells/kernel/channel/ring.h"
#include "cells/kernel/cpu/cpu.h"
#include "cells/kernel/heap/heap.h"
#include "cells/kernel/panic/panic.h"
#include "cells/kernel/task/call.h"
#include "cells/lib/string/string.h"

CELL("channel", KERNEL, 1);
EXPORT(channel_new, APPLICATION);
EXPORT(channel_end_put, APPLICATION);
EXPORT(channel_send, APPLICATION);
EXPORT(channel_receive, APPLICATION);
EXPORT(channel_waiting, APPLICATION);
EXPORT(channel_totals, APPLICATION);

#define RING_BYTES_MAX (1ul << 24)

/* Data of version 2 as its transfer leaves it: totals per CPU come first. */
struct statistics_of_v2 {
    struct channel_totals cpu[CPU_MAX];
};

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

static struct channel_end *end_new(struct channel_ring *ring, enum channel_side side)
{
    struct channel_end *end = heap_alloc(sizeof *end);

    if (end) {
        end->ring = ring;
        end->side = side;
    }
    return end;
}

enum err channel_new(size_t slots, size_t bytes, struct channel_end **ret_sender, struct channel_end **ret_receiver)
{
    size_t body;

    if (!slots || !bytes || __builtin_mul_overflow(slots, bytes, &body) || body > RING_BYTES_MAX)
        return ERR_INVALID;
    OWN(heap) struct channel_ring *ring = heap_alloc(sizeof *ring + body);
    if (!ring)
        return ERR_NOMEM;
    OWN(heap) struct channel_end *sender = end_new(ring, CHANNEL_SENDER);
    OWN(heap) struct channel_end *receiver = end_new(ring, CHANNEL_RECEIVER);
    if (!sender || !receiver)
        return ERR_NOMEM;
    ring->slots = slots;
    ring->bytes = bytes;
    ring->references = 2;
    (void)MOVE(ring);
    *ret_sender = MOVE(sender);
    *ret_receiver = MOVE(receiver);
    return ERR_OK;
}

/* True when nobody refers to the ring any more. */
static bool close_side(struct channel_ring *ring, uint32_t side)
{
    GUARD(lock) held = lock_take(&ring->lock);

    ring->closed[side] = 1;
    wait_queue_wake_all(&ring->queue[!side]);
    assert(ring->references > 0);
    return --ring->references == 0;
}

void channel_end_put(TAKES struct channel_end *end)
{
    if (!end)
        return;
    struct channel_ring *ring = end->ring;
    bool last = close_side(ring, end->side);

    heap_free(end);
    if (last)
        heap_free(ring);
}

static uint64_t deadline_of(uint64_t timeout_ns)
{
    return timeout_ns ? cpu_ns() + timeout_ns : 0;
}

static enum err sleep_on(struct channel_ring *ring, uint32_t side, struct lock_guard *held, uint64_t deadline)
    NEEDS(ring->lock)
{
    GUARD(channel_sleeper) asleep = channel_sleeper(ring, side);
    uint64_t now = deadline ? cpu_ns() : 0;

    if (deadline && now >= deadline)
        return ERR_TIMEOUT;
    return wait_queue_wait(&ring->queue[side], held, deadline ? deadline - now : 0);
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

/* Totals of our own version, or the sum of the per-CPU totals of version 2. */
static enum err channel_transfer(const struct cell_transfer *transfer)
{
    size_t bytes;
    bool newer = transfer->from_version == 2;
    const void *old = transfer->find(transfer, newer ? ".bss.statistics" : ".bss.totals", &bytes);

    if (!old || bytes < (newer ? sizeof(struct statistics_of_v2) : sizeof totals))
        return ERR_INVALID;
    if (!newer) {
        memcpy(&totals, old, sizeof totals);
        return ERR_OK;
    }
    const struct statistics_of_v2 *from = old;
    struct channel_totals sum = {0};
    for (size_t i = 0; i < array_size(from->cpu); i++) {
        sum.messages += from->cpu[i].messages;
        sum.bytes += from->cpu[i].bytes;
    }
    totals = sum;
    return ERR_OK;
}
TRANSFER(channel_transfer);
