/* Private to workload: the delivery of a round, as an event that the host reads (guest/abi/rounds.h). It is done in
 * steps, and a task that continues after a fault does only what is missing: no round is lost or delivered twice. */
#pragma once
#include <stdbool.h>
#include <stdint.h>

enum delivery_step { DELIVERY_NONE, DELIVERY_PUBLISH, DELIVERY_COUNT, DELIVERY_JUDGE, DELIVERY_DONE };

struct delivery {
    uint64_t number, checksum; /* of the round */
    uint64_t since;            /* events that had been logged when it began */
    uint64_t ns;               /* progress that the round took */
    uint32_t step;             /* enum delivery_step: what is next; of none, the rest means nothing */
    uint32_t parts;            /* of the workload that have worked (guest/abi/workload.h) */
    uint32_t owner;            /* id of the task that began the workload */
    bool right;                /* DELIVERY_DONE: what the event says is right */
};

/* The checksum of round `number` of these parts. */
uint64_t delivery_right(uint64_t number, uint32_t parts);
/* Begins the delivery of a round. Fill in number, checksum, ns, parts and owner before. */
void delivery_begin(struct delivery *delivery);
/* Publishes the round that was begun, and counts it: as bad if the event does not have the right checksum. At the end
 * the step is DELIVERY_DONE. Does nothing when none was begun. For one task at a time. */
void delivery_finish(struct delivery *delivery);
