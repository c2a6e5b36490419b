/* The third version of the channel cell: channels without a buffer (thesis §9.1.1). A send returns when a receiver has taken
 * the message, straight from where the sender has it. Same exports, and the same ring, which stays empty: it serves what a
 * version with a buffer has left in it, which is received first, and such a version that comes after.
 *
 * An offer lies in the frame of its sender, and in a list of this version's own that no other knows: senders must be taken
 * back before another version takes over, and then make their offer there. */
#include "cells/kernel/arena/arena.h"
#include "cells/kernel/channel/channel.h"
#include "cells/kernel/channel/ends.h"
#include "cells/kernel/panic/panic.h"
#include "cells/kernel/task/call.h"
#include "cells/lib/string/string.h"

CELL("channel", KERNEL, 3);
EXPORT(channel_send, APPLICATION);
EXPORT(channel_receive, APPLICATION);
EXPORT(channel_waiting, APPLICATION);
EXPORT(channel_totals, APPLICATION);

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

/* ---- messages ---- */

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

/* Offers are not taken over. */
static enum err channel_transfer(const struct cell_transfer *transfer)
{
    return totals_transfer(transfer, &totals.sum);
}
TRANSFER(channel_transfer);
