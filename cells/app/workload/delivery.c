/* See delivery.h. The event's sequence number, which is written last, is what delivers a round. A fault right after it
 * is told from one before it by looking for the event. Before, the event is compared with what it should say: whatever
 * has gone wrong while it was written, one instruction that was left out too, delivers nothing. */
#include "cells/app/workload/delivery.h"
#include "cells/core/arena/arena.h"
#include "cells/core/panic/panic.h"
#include "cells/host/log/log.h"
#include "cells/lib/format/format.h"
#include "cells/lib/string/string.h"
#include "guest/abi/rounds.h"

#define TRIES_MAX 3

static uint64_t events_logged(void)
{
    return __atomic_load_n(&arena_header()->event_seq, __ATOMIC_ACQUIRE);
}

static void next_is(struct delivery *d, enum delivery_step step)
{
    __atomic_store_n(&d->step, step, __ATOMIC_RELEASE);
}

void delivery_begin(struct delivery *d)
{
    d->since = events_logged();
    next_is(d, DELIVERY_PUBLISH);
}

/* Whether the event delivers the round, or would, if it were published. */
static bool is_of_round(const struct arena_event *e, const struct delivery *d, const char *text)
{
    return e->kind == EVENT_ROUND && e->a == d->number && string_equal(e->text, text);
}

/* The event that delivered the round. NULL: there is none. */
static const struct arena_event *find_event(const struct delivery *d, const char *text)
{
    uint64_t newest = events_logged();

    for (uint64_t seq = newest; seq > d->since && newest - seq < ARENA_EVENTS_MAX - 1; seq--) {
        const struct arena_event *e = arena_event_slot(seq);
        if (__atomic_load_n(&e->seq, __ATOMIC_ACQUIRE) == seq && is_of_round(e, d, text))
            return e;
    }
    return NULL;
}

/* Writes the event, and publishes it if it is right, and, asked once more, is the first one of this round. */
static void try_to_publish(const struct delivery *d, const char *text)
{
    uint64_t seq = arena_event_write(EVENT_ROUND, d->number, d->checksum, text);
    const struct arena_event *e = arena_event_slot(seq);

    __atomic_thread_fence(__ATOMIC_SEQ_CST); /* read as it is */
    bool is_right = seq > d->since && seq <= events_logged() && is_of_round(e, d, text) && e->b == d->checksum;
    if (is_right && !find_event(d, text))
        arena_event_publish(seq);
}

static void publish(const struct delivery *d, const char *text)
{
    for (unsigned tries = 0; !find_event(d, text); tries++) {
        if (tries == TRIES_MAX)
            panic("a round cannot be published");
        try_to_publish(d, text);
    }
}

uint64_t delivery_right(uint64_t number, uint32_t parts)
{
    uint32_t index = number % ROUNDS_CYCLE;

    return parts == WORKLOAD_DEFAULT ? rounds_right[index] : workload_round(index, parts, rounds_value[index]);
}

static bool is_right(const struct delivery *d, const char *text)
{
    const struct arena_event *e = find_event(d, text);
    uint64_t right = delivery_right(d->number, d->parts);

    if (e && e->b == right)
        return true;
    log_warn("workload: round %lu: checksum %016lx was delivered, right is %016lx", d->number, e ? e->b : 0, right);
    return false;
}

void delivery_finish(struct delivery *d)
{
    char text[sizeof((struct arena_event *)NULL)->text];

    format_print(text, sizeof text, ROUNDS_TEXT, d->number, d->checksum, d->owner);
    switch (d->step) {
    case DELIVERY_PUBLISH:
        publish(d, text);
        next_is(d, DELIVERY_COUNT);
        [[fallthrough]];
    case DELIVERY_COUNT:
        arena_count(COUNTER_rounds, 1);
        next_is(d, DELIVERY_JUDGE);
        [[fallthrough]];
    case DELIVERY_JUDGE:
        d->right = is_right(d, text);
        arena_count(d->right ? COUNTER_checksums_ok : COUNTER_checksums_bad, 1);
        next_is(d, DELIVERY_DONE);
    }
}
