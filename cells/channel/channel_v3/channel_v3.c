/* Version 3 of the channel cell: channels without a buffer (thesis §9.1.1). A send returns when a receiver has
 * copied the message from where the sender has it. Its exports and rings are those of version 1. The ring stays
 * empty: messages that another version has left in it are received first, and a later version may fill it again.
 *
 * A waiting send has an offer: in its frame, and in a list that other versions do not look at. So senders must be
 * rolled back before another version takes over, where they then send again. An offer is in the list exactly until
 * it is taken or withdrawn. */
#include "cells/channel/channel/channel.h"
#include "cells/channel/channel/ends.h"
#include "cells/core/arena/arena.h"
#include "cells/core/panic/panic.h"
#include "cells/lib/string/string.h"
#include "cells/task/call/call.h"

CELL("channel", KERNEL, 3);
EXPORT(channel_send, APPLICATION);
EXPORT(channel_receive, APPLICATION);
EXPORT(channel_waiting, APPLICATION);
EXPORT(channel_totals, APPLICATION);

/* A message whose sender waits for a receiver. Is changed under the lock of its ring. */
struct offer_guard {
    struct channel_ring *ring;
    const void *message;
    struct call *call; /* decided when the message has been taken */
    struct offer_guard *next;
};

/* Other versions find the totals by the name and the first field. The type differs from version 1's, so that a swap is
 * quiescent and no task stays in another version, where it would wait for messages that are never put into the ring. */
static struct {
    struct channel_totals sum;
    uint64_t withdrawn; /* offers that nobody has taken */
} totals;

/* The newest is the last. */
static void make_offer(struct offer_guard *offer, struct channel_ring *ring, const void *message, struct call *call)
    NEEDS(ring->lock)
{
    struct offer_guard **link = &ring->offers;

    offer->message = message;
    offer->call = call;
    offer->ring = ring;
    while (*link)
        link = &(*link)->next;
    *link = offer;
}

/* False: it is not there any more. */
static bool remove_offer(struct channel_ring *ring, const struct offer_guard *offer) NEEDS(ring->lock)
{
    for (struct offer_guard **link = &ring->offers; *link; link = &(*link)->next)
        if (*link == offer) {
            *link = offer->next;
            return true;
        }
    return false;
}

UNCHECKED static void offer_guard_end(struct offer_guard *offer)
{
    if (offer->ring && remove_offer(offer->ring, offer))
        __atomic_fetch_add(&totals.withdrawn, 1, __ATOMIC_RELAXED);
}

/* Of a sending end that is released nothing is left: its task may have failed, with the offer in a frame. */
static struct offer_guard *first_offer(const struct channel_ring *ring) NEEDS(ring->lock)
{
    return channel_side_is_closed(ring, CHANNEL_SENDER) ? NULL : ring->offers;
}

static size_t count_offers(const struct channel_ring *ring) NEEDS(ring->lock)
{
    size_t n = 0;

    for (const struct offer_guard *at = first_offer(ring); at; at = at->next)
        n++;
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

__attribute__((noinline)) enum channel_err channel_send(struct channel_end *sender, const void *message,
                                                        uint64_t timeout_ns)
{
    REPEATABLE(call, channel_send, (uint64_t)sender, (uint64_t)message, timeout_ns);
    struct channel_ring *ring = sender->ring;
    uint64_t deadline = deadline_of(timeout_ns);

    assert(sender->side == CHANNEL_SENDER);
    GUARD(lock) held = lock_take(&ring->lock);
    GUARD(offer) mine = {0};
    channel_ring_check(ring);
    if (channel_side_is_closed(ring, CHANNEL_RECEIVER))
        return CHANNEL_CLOSED;
    make_offer(&mine, ring, message, &call);
    wait_queue_wake_one(&ring->queue[CHANNEL_RECEIVER]);
    while (!is_taken(&call)) {
        bool closed = channel_side_is_closed(ring, CHANNEL_RECEIVER);
        enum channel_err e = closed ? CHANNEL_CLOSED : sleep_on(ring, CHANNEL_SENDER, &held, deadline);
        if (e != CHANNEL_OK && !is_taken(&call))
            return e;
        if (!is_taken(&call))
            channel_ring_check(ring);
    }
    return CHANNEL_OK;
}

/* Copies the oldest message. False: there is none. Wakes all senders, since one that waits for another version's
 * slot may be among them. */
static bool take_message(struct channel_ring *ring, void *message) NEEDS(ring->lock)
{
    channel_ring_check(ring);
    struct offer_guard *offered = ring->waiting ? NULL : first_offer(ring); /* another version may have left messages */

    if ((!offered && !ring->waiting) || ring->broken)
        return false;
    memcpy(message, offered ? offered->message : ring->body + ring->received % ring->slots * ring->bytes, ring->bytes);
    if (!offered) {
        ring->received++;
        ring->waiting--;
    } else {
        call_decide(offered->call, CHANNEL_OK);
        (void)remove_offer(ring, offered);
        __atomic_fetch_add(&totals.sum.messages, 1, __ATOMIC_RELAXED);
        __atomic_fetch_add(&totals.sum.bytes, ring->bytes, __ATOMIC_RELAXED);
        arena_count(COUNTER_messages, 1);
    }
    wait_queue_wake_all(&ring->queue[CHANNEL_SENDER]);
    return true;
}

__attribute__((noinline)) enum channel_err channel_receive(struct channel_end *receiver, void *message,
                                                           uint64_t timeout_ns)
{
    REPEATABLE(call, channel_receive, (uint64_t)receiver, (uint64_t)message, timeout_ns);
    struct channel_ring *ring = receiver->ring;
    uint64_t deadline = deadline_of(timeout_ns);

    assert(receiver->side == CHANNEL_RECEIVER);
    GUARD(lock) held = lock_take(&ring->lock);
    while (!take_message(ring, message)) {
        bool closed = channel_side_is_closed(ring, CHANNEL_SENDER);
        enum channel_err e = closed ? CHANNEL_CLOSED : sleep_on(ring, CHANNEL_RECEIVER, &held, deadline);
        if (e != CHANNEL_OK)
            return e;
    }
    return CHANNEL_OK;
}

size_t channel_waiting(const struct channel_end *end)
{
    struct channel_ring *ring = end->ring;
    GUARD(lock) held = lock_take(&ring->lock);

    return ring->waiting + count_offers(ring);
}

/* Takes over the totals, but not the offers. */
static enum err channel_transfer(const struct cell_transfer *transfer)
{
    return totals_transfer(transfer, &totals.sum);
}
TRANSFER(channel_transfer);
