/* A sender and a receiver of numbered messages, both restartable: what the faults of this test happen to. Private to
 * test_thirteen.
 *
 * The sender makes the channel and offers its receiving end. Whoever finds its channel closed asks for another one, and
 * so does a task that begins again; the sender then begins with the first message that was not delivered. A message
 * that was sent twice that way is delivered once, and one that is missing is a panic. A delivery is a line on the log,
 * by which the host judges: "DELIVERED EXPERIMENT NUMBER". */
#pragma once
#include "cells/channel/channel/ring.h"
#include "cells/channel/channel/channel.h"
#include "cells/core/lock/lock.h"
#include "cells/task/task/task.h"
#include "cells/task/wait_queue/wait_queue.h"

struct talk {
    struct lock lock;
    uint32_t experiment;
    uint64_t messages;             /* to be delivered */
    uint64_t pause_ns[2];          /* of each side, by enum channel_side, before each call of the channel; 0: none */
    uint64_t timeout_ns;           /* of each call */
    uint32_t cpu[2];               /* that each side is pinned to */
    void (*begins)(uint32_t side); /* called on that CPU when a side's task begins, also when it begins again */
    uint64_t asked, offers;        /* channels that were asked for; that were made */
    uint64_t delivered;
    struct channel_end *offered;
    struct wait_queue changed;
    uint64_t fault_ns, again_ns; /* when the fault came; when a message was delivered by a channel that is newer */
    uint64_t fault_offers;       /* channels that had been made at the fault */
    uint32_t dropped;            /* messages that came a second time */
    uint32_t ended;              /* tasks */
};

/* Starts both tasks. The talk is over when all messages are delivered. ERR_NOMEM. */
enum err talk_begin(struct talk *talk, struct task *ret_task[2]);
/* The fault happens now. */
void talk_note_fault(struct talk *talk);
