/* See deliveries.h. */
#include "injector/deliveries.h"
#include "introspect/base/ram_map.h"
#include "guest/abi/arena.h"
#include "guest/abi/layout.h"
#include "guest/abi/rounds.h"
#include <stdio.h>
#include <string.h>

enum { WAIT_EVENTS = 256 }; /* that may be logged before an event that is being written is given up */

struct ring {
    const struct arena_event *event;
    uint32_t capacity;
    uint64_t newest;
};

/* False: there is no log of events that can be read. */
static bool find_ring(const uint8_t *ram, size_t bytes, struct ring *ret_ring)
{
    struct arena_header h;

    if (bytes < LAYOUT_ARENA_PHYS + sizeof h)
        return false;
    memcpy(&h, ram + LAYOUT_ARENA_PHYS, sizeof h);
    const struct arena_table_desc *table = &h.table[ARENA_EVENTS];

    if (h.magic != ARENA_MAGIC || h.version != ARENA_VERSION || table->record_bytes != sizeof(struct arena_event) ||
        table->capacity < 2 || table->offset % _Alignof(struct arena_event) ||
        !ram_map_has(bytes, LAYOUT_ARENA_PHYS + (uint64_t)table->offset,
                     (uint64_t)table->capacity * sizeof(struct arena_event)))
        return false;
    *ret_ring = (struct ring){.event = (const void *)(ram + LAYOUT_ARENA_PHYS + table->offset),
                              .capacity = table->capacity,
                              .newest = h.event_seq};
    return true;
}

enum look { LOOK_READ, LOOK_PENDING, LOOK_OVERWRITTEN };

/* Copies event `seq`, whole. */
static enum look read_event(const struct ring *ring, uint64_t seq, struct arena_event *ret_event)
{
    const struct arena_event *e = &ring->event[arena_ring_index(seq, ring->capacity)];
    uint64_t before = __atomic_load_n(&e->seq, __ATOMIC_ACQUIRE);

    if (before != seq)
        return before < seq ? LOOK_PENDING : LOOK_OVERWRITTEN;
    *ret_event = *e;
    __atomic_thread_fence(__ATOMIC_ACQUIRE);
    return __atomic_load_n(&e->seq, __ATOMIC_RELAXED) == seq ? LOOK_READ : LOOK_OVERWRITTEN;
}

/* False: it is not the delivery of a round. */
static bool read_round(struct arena_event *event, unsigned *ret_owner)
{
    uint64_t number, checksum;

    event->text[sizeof event->text - 1] = '\0';
    if (event->kind != EVENT_ROUND)
        return false;
    if (sscanf(event->text, ROUNDS_TEXT, &number, &checksum, ret_owner) != 3)
        *ret_owner = 0;
    return true;
}

static void follow_number(struct deliveries *d, uint64_t number, unsigned owner)
{
    if (!d->known) {
        d->known = true;
        d->next = number;
        d->owner = owner;
    }
    if (number >= d->next) {
        d->rounds++;
        d->lost += number - d->next;
        d->next = number + 1;
    } else {
        d->twice++;
    }
}

static uint64_t right_checksum(uint32_t index, uint32_t parts)
{
    return workload_round(index, parts, rounds_value[index]);
}

static void judge_event(struct deliveries *d, struct arena_event *event)
{
    unsigned owner;

    if (!read_round(event, &owner))
        return;
    d->wrong += event->b != right_checksum(event->a % ROUNDS_CYCLE, d->parts);
    if (!d->known || owner == d->owner || !owner)
        follow_number(d, event->a, owner);
}

/* Events that were overwritten may have been rounds: the numbers go on from the next one, and the gap is not called a
 * loss. */
static void skip_to(struct deliveries *d, const struct ring *ring, uint64_t event)
{
    struct arena_event e;
    unsigned owner;

    d->unseen += event - d->event;
    d->event = event;
    for (uint64_t i = 1; i <= ring->newest - event; i++)
        if (read_event(ring, event + i, &e) == LOOK_READ && read_round(&e, &owner) && owner == d->owner) {
            uint64_t gap = e.a - d->next;
            d->rounds += gap <= d->unseen ? gap : 0;
            d->next += gap <= d->unseen ? gap : 0;
            return;
        }
}

void deliveries_look(struct deliveries *d, const uint8_t *ram, size_t bytes, bool last)
{
    struct arena_event event;
    struct ring ring;

    if (!find_ring(ram, bytes, &ring) || ring.newest < d->event)
        return;
    if (ring.newest - d->event >= ring.capacity)
        skip_to(d, &ring, ring.newest - (ring.capacity - 1));
    while (d->event < ring.newest) {
        enum look look = read_event(&ring, d->event + 1, &event);
        if (look == LOOK_PENDING && !last && ring.newest - d->event < WAIT_EVENTS)
            return;
        d->event++;
        if (look == LOOK_READ)
            judge_event(d, &event);
        d->unseen += look == LOOK_OVERWRITTEN;
    }
}

void deliveries_begin(struct deliveries *ret_deliveries, const uint8_t *ram, size_t bytes, uint32_t parts)
{
    struct arena_event e;
    struct ring ring;
    unsigned owner;

    *ret_deliveries = (struct deliveries){.parts = parts};
    if (!find_ring(ram, bytes, &ring))
        return;
    ret_deliveries->event = ring.newest;
    for (uint64_t seq = ring.newest; seq > 0 && ring.newest - seq < ring.capacity - 1; seq--)
        if (read_event(&ring, seq, &e) == LOOK_READ && read_round(&e, &owner)) {
            *ret_deliveries =
                (struct deliveries){.parts = parts, .event = seq, .known = true, .next = e.a + 1, .owner = owner};
            return;
        }
}
