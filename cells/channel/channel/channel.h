/* Asynchronous channels: messages of one size, in order, through a bounded ring, between two ends (thesis §6.3.3).
 * Each end is owned by the task that holds it; there is no list of them. When one end is released, in whatever way,
 * calls of the other return CHANNEL_CLOSED, a receiver's once it has received what is left. */
#pragma once
#include "cells/cell.h"

struct channel_end; /* opaque: a sending or a receiving end */

/* Releases an end, and with the second one the channel. Accepts NULL. */
void channel_end_put(TAKES struct channel_end *end);
OWNABLE(channel_end)

/* Makes a channel for `slots` messages of `bytes` bytes. On success the caller owns both ends. ERR_INVALID: a size
 * is 0 or the ring would be larger than 16 MiB. ERR_NOMEM. */
enum err channel_new(size_t slots, size_t bytes, struct channel_end **ret_sender, struct channel_end **ret_receiver);

enum [[nodiscard]] channel_err{CHANNEL_OK, CHANNEL_CLOSED, CHANNEL_TIMEOUT};

/* Sending copies a message into the ring, and waits while it is full; receiving copies the oldest one out, and waits
 * while it is empty. Both wait for `timeout_ns` at most (0: for ever): CHANNEL_TIMEOUT. CHANNEL_CLOSED: the other end
 * was released. On failure nothing was copied. Not from an interrupt handler. */
enum channel_err channel_send(struct channel_end *sender, const void *message, uint64_t timeout_ns);
enum channel_err channel_receive(struct channel_end *receiver, void *message, uint64_t timeout_ns);
/* Messages sent and not yet received. */
size_t channel_waiting(const struct channel_end *end);

/* What went through all channels since boot, kept over swaps of the cell. */
struct channel_totals {
    uint64_t messages, bytes;
};
void channel_totals(struct channel_totals *ret_totals);
