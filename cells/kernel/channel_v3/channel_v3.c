/* The third version of the channel cell: channels without a buffer (thesis §9.1.1). A send returns when a receiver has taken
 * the message, straight from where the sender has it. Same exports, and the same ring, which stays empty: it serves what a
 * version with a buffer has left in it, which is received first, and such a version that comes after.
 *
 * An offer lies in the frame of its sender, and in a list of this version's own that no other knows: senders must be taken
 * back before another version takes over, and then make their offer there. */
#include "cells/kernel/arena/arena.h"
#include "cells/kernel/channel/channel.h"
#include "cells/kernel/channel/ring.h"
#include "cells/kernel/cpu/cpu.h"
#include "cells/kernel/heap/heap.h"
#include "cells/kernel/panic/panic.h"
#include "cells/kernel/task/call.h"
#include "cells/lib/string/string.h"

CELL("channel", KERNEL, 3);
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

/* A message whose sender waits for somebody to take it; changes under the lock of its ring too. */
struct offer_guard {
    struct channel_ring *ring;
    const void *message;
    struct call *call; /* decided when the message has been taken */
    struct offer_guard *next;
};

/* The name and the first field are those by which other versions find the totals. Offers are of all channels, the oldest
 * first: as many as senders sleep. That they lie here too says that no task may stay in another version, where it would
 * wait for messages that are never put in the ring. */
static struct {
    struct channel_totals sum;
    struct lock lock;
    struct offer_guard *first;
} totals;

static void offer(struct offer_guard *offer, struct channel_ring *ring, const void *message, struct call *call)
    NEEDS(ring->lock)
{
    GUARD(lock) held = lock_take(&totals.lock);
    struct offer_guard **link = &totals.first;

    offer->message = message;
    offer->call = call;
    offer->ring = ring;
    while (*link)
        link = &(*link)->next;
    *link = offer;
}

static void withdraw(struct offer_guard *offer) NEEDS(totals.lock)
{
    for (struct offer_guard **link = &totals.first; *link; link = &(*link)->next)
        if (*link == offer) {
            *link = offer->next;
            return;
        }
}

static void offer_guard_end(struct offer_guard *offer)
{
    if (!offer->ring)
        return;
    GUARD(lock) held = lock_take(&totals.lock);
    withdraw(offer);
}

static struct offer_guard *first_offer(const struct channel_ring *ring) NEEDS(ring->lock)
{
    GUARD(lock) held = lock_take(&totals.lock);
    struct offer_guard *at = totals.first;

    while (at && at->ring != ring)
        at = at->next;
    return at;
}

static size_t offers_of(const struct channel_ring *ring) NEEDS(ring->lock)
{
    GUARD(lock) held = lock_take(&totals.lock);
    size_t n = 0;

    for (const struct offer_guard *at = totals.first; at; at = at->next)
        n += at->ring == ring;
    return n;
}

void channel_totals(struct channel_totals *ret_totals)
{
    ret_totals->messages = __atomic_load_n(&totals.sum.messages, __ATOMIC_RELAXED);
    ret_totals->bytes = __atomic_load_n(&totals.sum.bytes, __ATOMIC_RELAXED);
}

/* ---- the ends ---- */

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

/* ---- messages ---- */

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

static bool is_taken(const struct call *call)
{
    return __atomic_load_n(&call->decided, __ATOMIC_ACQUIRE);
}

__attribute__((noinline)) enum err channel_send(struct channel_end *sender, const void *message, uint64_t timeout_ns)
{
    REPEATABLE(call, channel_send, (uint64_t)sender, (uint64_t)message, timeout_ns);
    struct channel_ring *ring = sender->ring;
    uint64_t deadline = deadline_of(timeout_ns);

    assert(sender->side == CHANNEL_SENDER);
    GUARD(lock) held = lock_take(&ring->lock);
    GUARD(offer) mine = {0};
    if (ring->closed[CHANNEL_RECEIVER])
        return ERR_CLOSED;
    offer(&mine, ring, message, &call);
    wait_queue_wake_one(&ring->queue[CHANNEL_RECEIVER]);
    while (!is_taken(&call)) {
        enum err e = ring->closed[CHANNEL_RECEIVER] ? ERR_CLOSED : sleep_on(ring, CHANNEL_SENDER, &held, deadline);
        if (e != ERR_OK && !is_taken(&call))
            return e;
    }
    return ERR_OK;
}

/* What a version with a buffer has left in the ring. Panics, and so closes the channel, when the counts can't be true. */
static uint64_t left_in(const struct channel_ring *ring) NEEDS(ring->lock)
{
    uint64_t depth = ring->sent - ring->received;

    assert(depth <= ring->slots);
    return depth;
}

/* Copies the oldest message; false: there is none. All senders are woken: those of other versions wait for room. */
static bool take(struct channel_ring *ring, void *message) NEEDS(ring->lock)
{
    struct offer_guard *offered = left_in(ring) ? NULL : first_offer(ring);

    if (!offered && !left_in(ring))
        return false;
    memcpy(message, offered ? offered->message : ring->body + ring->received % ring->slots * ring->bytes, ring->bytes);
    if (!offered) {
        ring->received++;
    } else {
        GUARD(lock) held = lock_take(&totals.lock);
        call_decide(offered->call, ERR_OK);
        withdraw(offered);
        __atomic_fetch_add(&totals.sum.messages, 1, __ATOMIC_RELAXED);
        __atomic_fetch_add(&totals.sum.bytes, ring->bytes, __ATOMIC_RELAXED);
        arena_count(COUNTER_messages, 1);
    }
    wait_queue_wake_all(&ring->queue[CHANNEL_SENDER]);
    return true;
}

__attribute__((noinline)) enum err channel_receive(struct channel_end *receiver, void *message, uint64_t timeout_ns)
{
    REPEATABLE(call, channel_receive, (uint64_t)receiver, (uint64_t)message, timeout_ns);
    struct channel_ring *ring = receiver->ring;
    uint64_t deadline = deadline_of(timeout_ns);

    assert(receiver->side == CHANNEL_RECEIVER);
    GUARD(lock) held = lock_take(&ring->lock);
    while (!take(ring, message)) {
        enum err e = ring->closed[CHANNEL_SENDER] ? ERR_CLOSED : sleep_on(ring, CHANNEL_RECEIVER, &held, deadline);
        if (e != ERR_OK)
            return e;
    }
    return ERR_OK;
}

size_t channel_waiting(const struct channel_end *end)
{
    struct channel_ring *ring = end->ring;
    GUARD(lock) held = lock_take(&ring->lock);

    return left_in(ring) + offers_of(ring);
}

/* Totals of version 1 or our own, or the sum of the per-CPU totals of version 2. Offers are not taken over. */
static enum err channel_transfer(const struct cell_transfer *transfer)
{
    size_t bytes;
    bool per_cpu = transfer->from_version == 2;
    const void *old = transfer->find(transfer, per_cpu ? ".bss.statistics" : ".bss.totals", &bytes);

    if (!old || bytes < (per_cpu ? sizeof(struct statistics_of_v2) : sizeof totals.sum))
        return ERR_INVALID;
    if (!per_cpu) {
        memcpy(&totals.sum, old, sizeof totals.sum);
        return ERR_OK;
    }
    const struct statistics_of_v2 *from = old;
    struct channel_totals sum = {0};
    for (size_t i = 0; i < array_size(from->cpu); i++) {
        sum.messages += from->cpu[i].messages;
        sum.bytes += from->cpu[i].bytes;
    }
    totals.sum = sum;
    return ERR_OK;
}
TRANSFER(channel_transfer);
