/* What the workload of a guest has delivered, judged by the host alone: checksums in the log of events are compared
 * with the right ones (guest/abi/rounds.h), and the numbers of rounds are followed. What the guest says of them, in
 * counters or texts, counts for nothing here. */
#pragma once
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct deliveries {
    uint32_t parts;  /* of the workload that work (guest/abi/workload.h) */
    uint64_t event;  /* sequence number of the newest event that has been looked at */
    bool known;      /* a round has been seen: `next` and `owner` are of use */
    uint64_t next;   /* number of the round that has to come */
    unsigned owner;  /* whose numbers are followed, when several workloads run */
    uint64_t rounds; /* the rest: since deliveries_begin. Rounds that were delivered, each once */
    uint64_t wrong;  /* that did not have the right checksum */
    uint64_t lost;   /* whose number was left out */
    uint64_t twice;  /* whose number had come before */
    uint64_t unseen; /* events that were overwritten before they were looked at */
};

/* Takes up the numbers where the guest is now. `ram` is its memory, of so many bytes; all in it may be damaged. */
void deliveries_begin(struct deliveries *ret_deliveries, const uint8_t *ram, size_t bytes, uint32_t parts);
/* Looks at what has been logged since. The ring holds some 2,000 events: call it often. An event that is being written
 * is waited for, until the next call or for some more events; with `last`, it is not. */
void deliveries_look(struct deliveries *deliveries, const uint8_t *ram, size_t bytes, bool last);
