/* Private to workload: the board that its tasks meet at. It lies in the heap and is counted by reference, so that it
 * outlives every one of them, in whichever way they end.
 *
 * The conductor starts an attempt at a round; each part works and posts a value, or the error that disturbed it. All
 * values posted: the round is over and its checksum is judged. An error, or too long a silence: another attempt at the
 * same round. Attempts are numbered and never reused, so that whatever belongs to an older one can be told and dropped. */
#pragma once
#include "cells/app/workload/pattern.h"
#include "cells/kernel/channel/channel.h"
#include "cells/kernel/lock/lock.h"
#include "cells/kernel/wait_queue/wait_queue.h"

struct board;

struct job {
    uint64_t attempt;
    uint32_t index; /* of the round in its cycle */
};

struct tally {
    uint64_t rounds, ok, bad, repeated;
};

/* What a part's task is given: its place on the board. */
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
    uint64_t rounds_wanted; /* 0: for ever */
    uint64_t attempt;
    struct tally tally;
    uint64_t slowest_ns; /* of the rounds that ended; an older one counts less */
    uint32_t futile;     /* weight of the attempts since the last of them */
    struct {
        uint64_t attempt, value;
        enum err error;
    } post[PARTS];
    struct channel_end *offered; /* receiving end of the newest channel, until the consumer takes it */
    struct wait_queue started, posted, offer, done;
    struct place place[PARTS];
};

struct board *board_new(uint32_t owner, uint64_t rounds_wanted);
void board_put(TAKES struct board *board);

/* One more task works on the board, and holds it; one less. */
void board_join(struct board *board);
void board_leave(struct board *board);
void board_wait_done(struct board *board); /* until nobody works on it */

/* For the conductor. */
bool board_wants_more(struct board *board);
void board_start(struct board *board, struct job *ret_job);
/* Waits for all posts. ERR_TIMEOUT, or the first error that a part posted. */
enum err board_gather(struct board *board, const struct job *job, uint64_t timeout_ns, uint64_t ret_value[PARTS]);
/* The attempt came to nothing: `weight` more of them that did so in a row. Returns their sum. */
uint32_t board_repeat(struct board *board, uint32_t weight);
uint64_t board_settle(struct board *board, bool right, uint64_t ns); /* the round is over; its number */
void board_stop(struct board *board);

/* For the parts. A task that follows another at its place has lost that one's share of the attempt under way, which is
 * posted as disturbed, so that nobody waits for it. Returns the number of that attempt, else 0. */
uint64_t board_begin(struct place *place);
/* Waits for an attempt other than number `last`; false: the work is over. */
bool board_next(struct board *board, uint64_t last, struct job *ret_job);
bool board_is_current(struct board *board, const struct job *job);
void board_post(struct board *board, enum part part, const struct job *job, uint64_t value, enum err error);

/* Leaves a receiving end for the consumer; an older one is released. */
void board_offer(struct board *board, TAKES struct channel_end *end);
/* Waits for one as long as the attempt lasts. ERR_TIMEOUT: it is over. */
enum err board_take_offer(struct board *board, const struct job *job, struct channel_end **ret_end);
