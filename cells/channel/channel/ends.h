/* What versions 1 and 3 of the channel cell have in common: making and releasing ends, sleeping, and taking over the
 * totals. Private to them. The ring has one reference per end. */
#pragma once
#include "cells/channel/channel/channel.h"
#include "cells/channel/channel/ring.h"
#include "cells/core/cpu/cpu.h"
#include "cells/core/panic/panic.h"
#include "cells/lib/string/string.h"
#include "cells/memory/heap/heap.h"

EXPORT(channel_new, APPLICATION);
EXPORT(channel_end_put, APPLICATION);

#define RING_BYTES_MAX (1ul << 24)

/* The start of version 2's statistics. */
struct statistics_of_v2 {
    struct channel_totals cpu[CPU_MAX];
};

/* Takes over the totals of version 1 or 3, or the sum of the per-CPU totals of version 2. */
static inline enum err totals_transfer(const struct cell_transfer *transfer, struct channel_totals *ret_totals)
{
    size_t bytes;
    bool per_cpu = transfer->from_version == 2;
    const void *old = transfer->find(transfer, per_cpu ? ".bss.statistics" : ".bss.totals", &bytes);

    if (!old || bytes < (per_cpu ? sizeof(struct statistics_of_v2) : sizeof *ret_totals))
        return ERR_INVALID;
    if (!per_cpu) {
        memcpy(ret_totals, old, sizeof *ret_totals);
        return ERR_OK;
    }
    const struct statistics_of_v2 *from = old;
    struct channel_totals sum = {0};
    for (size_t i = 0; i < array_size(from->cpu); i++) {
        sum.messages += from->cpu[i].messages;
        sum.bytes += from->cpu[i].bytes;
    }
    *ret_totals = sum;
    return ERR_OK;
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
    ring->shape = channel_shape(slots, bytes);
    ring->references = 2;
    (void)MOVE(ring);
    *ret_sender = MOVE(sender);
    *ret_receiver = MOVE(receiver);
    return ERR_OK;
}

/* Returns the ring if this was the last end, so that the caller frees it; else NULL. */
static struct channel_ring *close_side(struct channel_ring *ring, uint32_t side)
{
    GUARD(lock) held = lock_take(&ring->lock);

    if (channel_side_close(ring, side))
        return ring;
    wait_queue_wake_all(&ring->queue[!side]);
    return NULL;
}

void channel_end_put(TAKES struct channel_end *end)
{
    OWN(heap) struct channel_end *own = end; /* freed also when the other side cannot be woken */

    if (own)
        heap_free(close_side(own->ring, own->side));
}

static uint64_t deadline_of(uint64_t timeout_ns)
{
    return timeout_ns ? cpu_ns() + timeout_ns : 0;
}

/* Sleeps until woken, or until `deadline` (cpu_ns; 0: for ever). The caller checks its condition again after
 * CHANNEL_OK. */
static enum channel_err sleep_on(struct channel_ring *ring, uint32_t side, struct lock_guard *held, uint64_t deadline)
    NEEDS(ring->lock)
{
    GUARD(channel_sleeper) asleep = channel_sleeper(ring, side);
    uint64_t now = deadline ? cpu_ns() : 0;

    if (deadline && now >= deadline)
        return CHANNEL_TIMEOUT;
    return wait_queue_wait(&ring->queue[side], held, deadline ? deadline - now : 0) == WAKE_EVENT ? CHANNEL_OK
                                                                                                  : CHANNEL_TIMEOUT;
}
