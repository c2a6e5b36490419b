/* See board.h. Every wait has a time-out and is repeated, since a fault may lose a wake-up. */
#include "cells/app/workload/board.h"
#include "cells/core/panic/panic.h"
#include "cells/memory/heap/heap.h"
#include "cells/task/promise/promise.h"

#define SLICE_NS      50000000ull
#define LONG_SLICE_NS 200000000ull /* shorter than any promise */
#define FORGET        4            /* each round decreases slowest_ns by this part of it */

/* Of time as far as the guest has run (progress.h): on a host that does not run it nothing is late. */
#define ATTEMPT_MIN_NS 400000000ull
#define ATTEMPT_MAX_NS 10000000000ull
#define ATTEMPT_ROUNDS 10 /* an attempt fails after this many times the slowest round */
#define PROMISE_TIMES  2  /* so much longer a task may take to get on */
#define NS_PER_MS      1000000ull

uint64_t board_patience_ns(const struct board *board)
{
    uint64_t ns = board->slowest_ns ? board->slowest_ns * ATTEMPT_ROUNDS : ATTEMPT_MAX_NS;

    return ns < ATTEMPT_MIN_NS ? ATTEMPT_MIN_NS : ns > ATTEMPT_MAX_NS ? ATTEMPT_MAX_NS : ns;
}

void board_promise(const struct board *board)
{
    promise_make((uint32_t)(board_patience_ns(board) * PROMISE_TIMES / NS_PER_MS));
}

/* Who waits like this looks again and again, and so gets on. */
static void wait_slice(struct wait_queue *queue, struct lock_guard *held)
{
    promise_keep();
    (void)wait_queue_wait(queue, held, SLICE_NS);
}

struct board *board_new(uint32_t owner, uint32_t parts, uint64_t rounds_wanted)
{
    struct board *board = heap_alloc(sizeof *board);

    if (!board)
        return NULL;
    board->references = 1;
    board->owner = owner;
    board->parts = parts;
    board->rounds_wanted = rounds_wanted;
    for (unsigned i = 0; i < PARTS; i++)
        board->place[i] = (struct place){.board = board, .part = (enum part)i};
    return board;
}

void board_put(TAKES struct board *board)
{
    if (!board || __atomic_sub_fetch(&board->references, 1, __ATOMIC_ACQ_REL))
        return;
    channel_end_put(board->offered);
    heap_free(board);
}

void board_join(struct board *board)
{
    GUARD(lock) held = lock_take(&board->lock);

    board->crew++;
    __atomic_fetch_add(&board->references, 1, __ATOMIC_RELAXED);
}

static void count_out(struct board *board)
{
    GUARD(lock) held = lock_take(&board->lock);

    board->crew--;
    wait_queue_wake_all(&board->done);
}

void board_leave(struct board *board)
{
    count_out(board);
    board_put(board);
}

void board_wait_done(struct board *board)
{
    GUARD(lock) held = lock_take(&board->lock);

    while (board->crew) {
        board_promise(board);
        (void)wait_queue_wait(&board->done, &held, LONG_SLICE_NS);
    }
    promise_make(0);
}

bool board_wants_more(struct board *board)
{
    GUARD(lock) held = lock_take(&board->lock);

    return !board->stopping && (!board->rounds_wanted || board->tally.rounds < board->rounds_wanted);
}

void board_start(struct board *board, struct job *ret_job)
{
    GUARD(lock) held = lock_take(&board->lock);

    board->attempt++;
    *ret_job = (struct job){board->attempt, (uint32_t)(board->tally.rounds % PATTERN_CYCLE)};
    wait_queue_wake_all(&board->started);
    wait_queue_wake_all(&board->offer);
}

/* LATE: somebody has not posted yet. */
static enum gather read_posts(const struct board *board, const struct job *job, uint64_t ret_value[PARTS])
    NEEDS(board->lock)
{
    enum gather result = GATHER_DONE;

    for (int i = 0; i < PARTS; i++) {
        if (!(board->parts & 1u << i))
            continue;
        if (board->post[i].attempt != job->attempt) {
            result = GATHER_LATE;
            continue;
        }
        if (board->post[i].error != ERR_OK)
            return GATHER_FAILED;
        ret_value[i] = board->post[i].value;
    }
    return result;
}

enum gather board_gather(struct board *board, const struct job *job, const struct patience *patience,
                         uint64_t ret_value[PARTS])
{
    GUARD(lock) held = lock_take(&board->lock);
    enum gather gathered;

    while ((gathered = read_posts(board, job, ret_value)) == GATHER_LATE &&
           progress_ns(&patience->since) < patience->ns)
        wait_slice(&board->posted, &held);
    return gathered;
}

uint32_t board_repeat(struct board *board, uint32_t weight)
{
    GUARD(lock) held = lock_take(&board->lock);

    board->tally.repeated++;
    board->futile += weight;
    return board->futile;
}

void board_end_round(struct board *board)
{
    GUARD(lock) held = lock_take(&board->lock);
    const struct delivery *delivery = &board->delivery;

    if (delivery->step != DELIVERY_DONE || delivery->number != board->tally.rounds)
        return;
    if (delivery->right)
        board->tally.ok++;
    else
        board->tally.bad++;
    board->slowest_ns -= board->slowest_ns / FORGET;
    if (delivery->ns > board->slowest_ns)
        board->slowest_ns = delivery->ns;
    board->futile = 0;
    board->tally.rounds++;
}

/* What was delivered is believed, unless both of the others say the same. */
static void outvote(struct board *board)
{
    struct tally *tally = &board->tally;
    uint64_t delivered = board->delivery.number + 1;

    if (tally->rounds == tally->ok + tally->bad) {
        board->delivery.step = DELIVERY_NONE;
        return;
    }
    tally->rounds = delivered;
    tally->bad = tally->bad < delivered ? tally->bad : 0;
    tally->ok = delivered - tally->bad;
}

void board_check_delivery(struct board *board)
{
    struct delivery *delivery = &board->delivery;

    if (delivery->step != DELIVERY_PUBLISH || delivery->number == board->tally.rounds)
        return;
    delivery->step = DELIVERY_NONE;
    panic("a round with another one's number");
}

void board_check_round(struct board *board)
{
    const struct tally *tally = &board->tally;
    bool ended = tally->rounds == board->delivery.number + 1 && tally->ok + tally->bad == tally->rounds;

    if (board->delivery.step != DELIVERY_DONE || ended) {
        board->doubts = 0;
        return;
    }
    if (board->doubts++)
        outvote(board);
    panic("a round that was delivered has not ended");
}

void board_stop(struct board *board)
{
    GUARD(lock) held = lock_take(&board->lock);

    board->stopping = 1;
    board->attempt++;
    wait_queue_wake_all(&board->started);
    wait_queue_wake_all(&board->offer);
}

uint64_t board_begin(struct place *place)
{
    const struct job lost = {.attempt = place->begun ? place->board->attempt : 0};

    if (place->begun)
        board_post(place->board, place->part, &lost, 0, ERR_CLOSED);
    place->begun = true;
    return lost.attempt;
}

bool board_next(struct board *board, uint64_t last, struct job *ret_job)
{
    GUARD(lock) held = lock_take(&board->lock);

    while (!board->stopping && board->attempt == last)
        wait_slice(&board->started, &held);
    *ret_job = (struct job){board->attempt, (uint32_t)(board->tally.rounds % PATTERN_CYCLE)};
    return !board->stopping;
}

bool board_is_current(struct board *board, const struct job *job)
{
    GUARD(lock) held = lock_take(&board->lock);

    return board->attempt == job->attempt;
}

void board_post(struct board *board, enum part part, const struct job *job, uint64_t value, enum err error)
{
    GUARD(lock) held = lock_take(&board->lock);

    if (board->attempt != job->attempt)
        return;
    board->post[part].attempt = job->attempt;
    board->post[part].value = value;
    board->post[part].error = error;
    wait_queue_wake_one(&board->posted);
}

/* Leaves in `end` what was offered before. Each of the two has an owner all the time, faults included. */
static void exchange_offer(struct board *board, struct channel_end **end)
{
    GUARD(lock) held = lock_take(&board->lock);
    struct channel_end *before = board->offered;

    board->offered = *end;
    *end = before;
    wait_queue_wake_all(&board->offer);
}

void board_offer(struct board *board, TAKES struct channel_end *end)
{
    OWN(channel_end) struct channel_end *own = end;

    exchange_offer(board, &own);
}

enum err board_take_offer(struct board *board, const struct job *job, struct channel_end **ret_end)
{
    GUARD(lock) held = lock_take(&board->lock);

    while (!board->offered) {
        if (board->attempt != job->attempt)
            return ERR_TIMEOUT;
        wait_slice(&board->offer, &held);
    }
    *ret_end = MOVE(board->offered);
    return ERR_OK;
}
