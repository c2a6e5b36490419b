/* Private to workload: the state that its tasks share. It is in the heap and counted by reference, so that it outlives
 * each of them, however they end.
 *
 * The conductor starts an attempt at a round; each part works and posts a value, or the error that disturbed it. All
 * values posted: the round is over, its checksum is compared, and it is delivered. An error, or no post in time:
 * another attempt at the same round. A wrong value, or a wrong checksum: whoever has computed it panics, and after its
 * recovery there is another attempt. Numbers of attempts are never reused, so that what belongs to an earlier one is
 * recognised and dropped. */
#pragma once
#include "cells/app/workload/delivery.h"
#include "cells/app/workload/pattern.h"
#include "cells/app/workload/progress.h"
#include "cells/channel/channel/channel.h"
#include "cells/core/lock/lock.h"
#include "cells/task/wait_queue/wait_queue.h"

struct board;

struct job {
    uint64_t attempt;
    uint32_t index; /* of the round in its cycle */
};

struct tally {
    uint64_t rounds, ok, bad, repeated;
};

/* The argument of a part's task: its place on the board. */
struct place {
    struct board *board;
    enum part part;
    bool taken; /* by a task that has not ended */
    bool begun; /* a task has worked here before */
};

struct board {
    struct lock lock;
    uint32_t references;
    uint32_t owner; /* id of the task that made it */
    uint32_t stopping;
    uint32_t crew;          /* tasks that work on it */
    uint32_t parts;         /* of the workload that work (guest/abi/workload.h) */
    uint64_t rounds_wanted; /* 0: for ever */
    uint64_t attempt;
    struct tally tally;
    struct delivery delivery; /* of the last round; the conductor's alone */
    uint32_t doubts;          /* how often its end was found to be wrong; the conductor's alone */
    bool finished;            /* the conductor has delivered all rounds that were wanted */
    uint64_t slowest_ns;      /* progress in the rounds that ended; each round decreases the weight of earlier ones */
    uint32_t futile;          /* weight of the attempts since the last of them */
    struct {
        uint64_t attempt, value;
        enum err error;
    } post[PARTS];
    struct channel_end *offered; /* receiving end of the newest channel, until the consumer takes it */
    struct wait_queue started, posted, offer, done;
    struct place place[PARTS];
};

/* A board for these parts, with one reference. NULL: no memory. board_put releases a reference; the last one frees the
 * board. */
struct board *board_new(uint32_t owner, uint32_t parts, uint64_t rounds_wanted);
void board_put(TAKES struct board *board);

/* A task joins the crew, with a reference of its own; it leaves, and releases it. */
void board_join(struct board *board);
void board_leave(struct board *board);
void board_wait_done(struct board *board); /* waits until the crew has left */

/* For the conductor: whether another round is wanted; start an attempt. */
bool board_wants_more(struct board *board);
void board_start(struct board *board, struct job *ret_job);
enum [[nodiscard]] gather{GATHER_DONE, GATHER_LATE, GATHER_FAILED};
struct patience {
    struct progress since;
    uint64_t ns;
};
/* How long an attempt may last: ten times as long as the slowest round lately, from one to ten seconds. */
uint64_t board_patience_ns(const struct board *board);
/* The running task promises to get on (promise.h) within twice that time. */
void board_promise(const struct board *board);
/* Waits for all posts. LATE: the patience is over, and somebody has not posted; FAILED: a part has posted an error. */
enum gather board_gather(struct board *board, const struct job *job, const struct patience *patience,
                         uint64_t ret_value[PARTS]);
/* Counts an attempt that failed, with `weight`. Returns the sum of weights since the last round that ended. */
uint32_t board_repeat(struct board *board, uint32_t weight);
/* Counts the round whose delivery is done, once; the next one may be delivered then. */
void board_end_round(struct board *board);
/* Panics when what is about to be published is not the round that is next, and drops it: it is done again. */
void board_check_delivery(struct board *board);
/* Panics when what board_end_round does was not done right, so that it is done again: else a round would be
 * delivered twice, or left out. When that comes to the same, the numbers that say how many rounds there were are put
 * right. */
void board_check_round(struct board *board);
/* Ends the work: board_next returns false from now on. */
void board_stop(struct board *board);

/* For the parts. Call first in a task. A restarted task cannot continue the share of its predecessor: posts ERR_CLOSED
 * for the present attempt and returns its number, else 0. */
uint64_t board_begin(struct place *place);
/* Waits for an attempt other than number `last`. False: the work is over. */
bool board_next(struct board *board, uint64_t last, struct job *ret_job);
/* Whether the attempt of `job` is the present one. */
bool board_is_current(struct board *board, const struct job *job);
/* Posts a value or an error; dropped when the attempt is over. */
void board_post(struct board *board, enum part part, const struct job *job, uint64_t value, enum err error);

/* Offers a receiving end to the consumer; one that was not taken is released. */
void board_offer(struct board *board, TAKES struct channel_end *end);
/* Waits for an offer as long as the attempt lasts. ERR_TIMEOUT: the attempt is over. */
enum err board_take_offer(struct board *board, const struct job *job, struct channel_end **ret_end);
