/* An application's part that talks over channels, one message a call: the channel's user, which is replaced along with it. */
#pragma once
#include "cells/cell.h"
#include "cells/kernel/channel/channel.h"

/* A way for messages, from one task to another. Each side counts for itself. */
struct talk {
    struct channel_end *sender, *receiver;
    uint64_t sent, received;
    uint64_t wrong; /* out of order, lost, doubled or damaged */
};

/* Both may be begun anew. ERR_OK: one message more. */
enum err talker_send(struct talk *talk);
enum err talker_receive(struct talk *talk);
uint32_t talker_version(void);
/* Messages sent through all versions of this cell. */
uint64_t talker_total(void);
