/* Asynchronous channels: messages of one size, in order, through a bounded ring, between two endpoints
 * (thesis §6.3.3). Each endpoint is owned by the task that holds it; the cell keeps no list of them. When one end is
 * released, in whichever way, the other end's calls return ERR_CLOSED once nothing is left to receive. */
#pragma once
#include "cells/cell.h"

struct channel_end; /* opaque: a sending or a receiving end */

void channel_end_put(TAKES struct channel_end *end);
OWNABLE(channel_end)

/* Two ends of a new channel for `slots` messages of `bytes` bytes. */
enum err channel_new(size_t slots, size_t bytes, struct channel_end **ret_sender, struct channel_end **ret_receiver);

/* Copies the message; waits while the ring is full or empty. timeout_ns 0: for ever.
 * ERR_OK, ERR_CLOSED, ERR_TIMEOUT. Never from an interrupt handler. */
enum err channel_send(struct channel_end *sender, const void *message, uint64_t timeout_ns);
enum err channel_receive(struct channel_end *receiver, void *message, uint64_t timeout_ns);
size_t channel_waiting(const struct channel_end *end); /* messages in the ring */

/* What went through all channels since boot, kept over swaps of the cell. */
struct channel_totals {
    uint64_t messages, bytes;
};
void channel_totals(struct channel_totals *ret_totals);
