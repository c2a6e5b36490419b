/* Version 2 of the channel cell: copies word by word, wakes a side only if somebody sleeps there, counts per CPU,
 * and keeps a histogram of how full rings are. Its exports and rings are those of version 1 (channel.h, ring.h); its
 * static data differs. */
#include "cells/channel/channel/channel.h"
#include "cells/core/arena/arena.h"
#include "cells/channel/channel/ring.h"
#include "cells/core/cpu/cpu.h"
#include "cells/memory/heap/heap.h"
#include "cells/core/panic/panic.h"
#include "cells/task/call/call.h"
#include "cells/lib/string/string.h"

CELL("channel", KERNEL, 2);
EXPORT(channel_new, APPLICATION);
EXPORT(channel_end_put, APPLICATION);
EXPORT(channel_send, APPLICATION);
EXPORT(channel_receive, APPLICATION);
EXPORT(channel_waiting, APPLICATION);
EXPORT(channel_totals, APPLICATION);

#define RING_BYTES_MAX (1ul << 24)
#define DEPTHS         16

static struct {
    struct channel_totals cpu[CPU_MAX]; /* first: other versions take these over (ends.h) */
    uint64_t depth[DEPTHS];             /* sends by how full the ring was, in sixteenths */
    uint64_t sleeps[2];                 /* by side */
    uint64_t wake_ups_saved;
} statistics;

void channel_totals(struct channel_totals *ret_totals)
{
    struct channel_totals sum = {0};

    for (size_t i = 0; i < array_size(statistics.cpu); i++) {
        sum.messages += __atomic_load_n(&statistics.cpu[i].messages, __ATOMIC_RELAXED);
        sum.bytes += __atomic_load_n(&statistics.cpu[i].bytes, __ATOMIC_RELAXED);
    }
    *ret_totals = sum;
}

/* Both ends of a channel being made: those that are left here are freed at the end of the scope. */
struct ends {
    struct channel_end *end[2];
};

static void ends_free(struct ends *ends)
{
    heap_free(ends->end[CHANNEL_SENDER]);
    heap_free(ends->end[CHANNEL_RECEIVER]);
}

static bool ends_make(struct ends *ends, struct channel_ring *ring)
{
    for (uint32_t side = 0; side < 2; side++) {
        struct channel_end *end = heap_alloc(sizeof *end);
        if (!end)
            return false;
        end->ring = ring;
        end->side = side;
        ends->end[side] = end;
    }
    return true;
}

enum err channel_new(size_t slots, size_t bytes, struct channel_end **ret_sender, struct channel_end **ret_receiver)
{
    __attribute__((cleanup(ends_free))) struct ends ends = {0};
    size_t body;

    if (!slots || !bytes || __builtin_mul_overflow(slots, bytes, &body) || body > RING_BYTES_MAX)
        return ERR_INVALID;
    OWN(heap) struct channel_ring *ring = heap_alloc(sizeof *ring + body);
    if (!ring || !ends_make(&ends, ring))
        return ERR_NOMEM;
    ring->slots = slots;
    ring->bytes = bytes;
    ring->shape = channel_shape(slots, bytes);
    ring->references = 2;
    (void)MOVE(ring);
    *ret_sender = MOVE(ends.end[CHANNEL_SENDER]);
    *ret_receiver = MOVE(ends.end[CHANNEL_RECEIVER]);
    return ERR_OK;
}

/* Returns the ring if this was the last end, so that the caller frees it; else NULL. */
static struct channel_ring *drop_end(struct channel_ring *ring, uint32_t side)
{
    GUARD(lock) held = lock_take(&ring->lock);

    if (channel_side_close(ring, side))
        return ring;
    if (ring->sleepers[!side])
        wait_queue_wake_all(&ring->queue[!side]);
    return NULL;
}

void channel_end_put(TAKES struct channel_end *end)
{
    OWN(heap) struct channel_end *own = end;

    if (own)
        heap_free(drop_end(own->ring, own->side));
}

/* Messages are mostly a few words: a call of memcpy and its length checks would cost more than the copy. */
static void copy_message(uint8_t *to, const uint8_t *from, size_t bytes)
{
    size_t done = 0;

    for (; done + 8 <= bytes; done += 8) {
        uint64_t word;
        __builtin_memcpy(&word, from + done, 8);
        __builtin_memcpy(to + done, &word, 8);
    }
    for (; done < bytes; done++)
        to[done] = from[done];
}

/* Wakes a task of that side, if one sleeps. */
static void wake_side(struct channel_ring *ring, uint32_t side) NEEDS(ring->lock)
{
    if (ring->sleepers[side])
        wait_queue_wake_one(&ring->queue[side]);
    else
        __atomic_fetch_add(&statistics.wake_ups_saved, 1, __ATOMIC_RELAXED);
}

/* Sleeps once on `side`. Sets `*deadline` at the first sleep, so that a call that need not wait does not read the
 * clock. */
static enum channel_err sleep_once(struct channel_ring *ring, uint32_t side, struct lock_guard *held,
                                   uint64_t timeout_ns, uint64_t *deadline) NEEDS(ring->lock)
{
    uint64_t left = 0;

    if (timeout_ns) {
        uint64_t now = cpu_ns();
        if (!*deadline)
            *deadline = now + timeout_ns;
        if (now >= *deadline)
            return CHANNEL_TIMEOUT;
        left = *deadline - now;
    }
    __atomic_fetch_add(&statistics.sleeps[side], 1, __ATOMIC_RELAXED);
    GUARD(channel_sleeper) asleep = channel_sleeper(ring, side);
    return wait_queue_wait(&ring->queue[side], held, left) == WAKE_EVENT ? CHANNEL_OK : CHANNEL_TIMEOUT;
}

/* Under the ring's lock, so that the CPU does not change. */
static void count_on_cpu(const struct channel_ring *ring) NEEDS(ring->lock)
{
    struct channel_totals *mine = &statistics.cpu[cpu_this()->index];

    __atomic_fetch_add(&mine->messages, 1, __ATOMIC_RELAXED);
    __atomic_fetch_add(&mine->bytes, ring->bytes, __ATOMIC_RELAXED);
}

static enum channel_err wait_until_room(struct channel_ring *ring, struct lock_guard *held, uint64_t timeout_ns)
    NEEDS(ring->lock)
{
    uint64_t deadline = 0;

    for (;;) {
        channel_ring_check(ring);
        if (channel_side_is_closed(ring, CHANNEL_RECEIVER))
            return CHANNEL_CLOSED;
        if (ring->waiting < ring->slots)
            return CHANNEL_OK;
        enum channel_err e = sleep_once(ring, CHANNEL_SENDER, held, timeout_ns, &deadline);
        if (e != CHANNEL_OK)
            return e;
    }
}

enum channel_err channel_send(struct channel_end *sender, const void *message, uint64_t timeout_ns)
{
    struct channel_ring *ring = sender->ring;

    REPEATABLE(call, channel_send, (uint64_t)sender, (uint64_t)message, timeout_ns);
    assert(sender->side == CHANNEL_SENDER);
    GUARD(lock) held = lock_take(&ring->lock);
    enum channel_err e = wait_until_room(ring, &held, timeout_ns);
    if (e != CHANNEL_OK)
        return e;
    count_on_cpu(ring);
    __atomic_fetch_add(&statistics.depth[ring->waiting * DEPTHS / ring->slots], 1, __ATOMIC_RELAXED);
    copy_message(ring->body + ring->sent % ring->slots * ring->bytes, message, ring->bytes);
    ring->sent++;
    ring->waiting++;
    arena_count(COUNTER_messages, 1);
    wake_side(ring, CHANNEL_RECEIVER);
    return CHANNEL_OK;
}

enum channel_err channel_receive(struct channel_end *receiver, void *message, uint64_t timeout_ns)
{
    struct channel_ring *ring = receiver->ring;
    uint64_t deadline = 0;

    REPEATABLE(call, channel_receive, (uint64_t)receiver, (uint64_t)message, timeout_ns);
    assert(receiver->side == CHANNEL_RECEIVER);
    GUARD(lock) held = lock_take(&ring->lock);
    channel_ring_check(ring);
    while (!ring->waiting || ring->broken) {
        if (channel_side_is_closed(ring, CHANNEL_SENDER))
            return CHANNEL_CLOSED;
        enum channel_err e = sleep_once(ring, CHANNEL_RECEIVER, &held, timeout_ns, &deadline);
        if (e != CHANNEL_OK)
            return e;
        channel_ring_check(ring);
    }
    copy_message(message, ring->body + ring->received % ring->slots * ring->bytes, ring->bytes);
    ring->received++;
    ring->waiting--;
    wake_side(ring, CHANNEL_SENDER);
    return CHANNEL_OK;
}

size_t channel_waiting(const struct channel_end *end)
{
    struct channel_ring *ring = end->ring;
    GUARD(lock) held = lock_take(&ring->lock);

    return ring->waiting;
}

/* Takes over all of this version's data; of others the totals, as those of CPU 0. */
static enum err channel_transfer(const struct cell_transfer *transfer)
{
    bool older = transfer->from_version != 2;
    size_t bytes, wanted = older ? sizeof statistics.cpu[0] : sizeof statistics;
    const void *old = transfer->find(transfer, older ? ".bss.totals" : ".bss.statistics", &bytes);

    if (!old || bytes < wanted)
        return ERR_INVALID;
    memcpy(&statistics, old, wanted);
    return ERR_OK;
}
TRANSFER(channel_transfer);
