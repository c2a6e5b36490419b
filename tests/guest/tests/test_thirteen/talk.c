/* See talk.h. */
#include "tests/guest/tests/test_thirteen/talk.h"
#include "cells/channel/channel/ring.h"
#include "cells/core/cpu/cpu.h"
#include "cells/core/panic/panic.h"
#include "cells/host/log/log.h"
#include "cells/task/scheduler/scheduler.h"

struct message {
    uint64_t number, offer; /* offer: number of the channel by which it comes */
};

#define SLOTS 3

static void rest(const struct talk *talk, uint32_t side)
{
    if (talk->pause_ns[side])
        scheduler_sleep_ns(talk->pause_ns[side]);
}

static bool is_over(const struct talk *talk)
{
    return __atomic_load_n(&talk->delivered, __ATOMIC_ACQUIRE) >= talk->messages;
}

static void ask(struct talk *talk)
{
    GUARD(lock) held = lock_take(&talk->lock);

    talk->asked++;
    wait_queue_wake_all(&talk->changed);
}

static bool is_asked(struct talk *talk, uint64_t served)
{
    return __atomic_load_n(&talk->asked, __ATOMIC_ACQUIRE) != served;
}

/* ---- the sender ---- */

static struct channel_end *exchange_offer(struct talk *talk, struct channel_end *receiver)
{
    GUARD(lock) held = lock_take(&talk->lock);
    struct channel_end *before = talk->offered;

    talk->offered = receiver;
    talk->offers++;
    wait_queue_wake_all(&talk->changed);
    return before;
}

/* Makes a channel in place of the one at `*sender`. Returns the first message to send. */
static uint64_t connect(struct talk *talk, struct channel_end **sender)
{
    struct channel_end *receiver;

    channel_end_put(MOVE(*sender));
    if (channel_new(SLOTS, sizeof(struct message), sender, &receiver) != ERR_OK)
        panic("no channel");
    channel_end_put(exchange_offer(talk, receiver));
    return __atomic_load_n(&talk->delivered, __ATOMIC_ACQUIRE);
}

/* All is sent: waits until all is delivered, or another channel is asked for. */
static void await_end(struct talk *talk, uint64_t served)
{
    GUARD(lock) held = lock_take(&talk->lock);

    while (!is_over(talk) && !is_asked(talk, served))
        (void)wait_queue_wait(&talk->changed, &held, 0);
}

static void send_all(uint64_t argument)
{
    struct talk *talk = (struct talk *)argument;
    OWN(channel_end) struct channel_end *sender = NULL;
    uint64_t served = 0;

    talk->begins(CHANNEL_SENDER);
    struct message message = {.number = connect(talk, &sender)};
    while (!is_over(talk)) {
        if (is_asked(talk, served)) {
            served = __atomic_load_n(&talk->asked, __ATOMIC_ACQUIRE);
            message.number = connect(talk, &sender);
        }
        message.offer = talk->offers;
        rest(talk, CHANNEL_SENDER);
        if (message.number >= talk->messages) {
            await_end(talk, served);
            continue;
        }
        enum channel_err e = channel_send(sender, &message, talk->timeout_ns);
        if (e == CHANNEL_OK)
            message.number++;
        else if (e == CHANNEL_CLOSED)
            ask(talk);
    }
}

/* ---- the receiver ---- */

/* Waits for a channel. NULL: the talk is over. */
static struct channel_end *take_offer(struct talk *talk)
{
    GUARD(lock) held = lock_take(&talk->lock);

    while (!talk->offered && !is_over(talk))
        (void)wait_queue_wait(&talk->changed, &held, 0);
    return MOVE(talk->offered);
}

static void deliver(struct talk *talk, const struct message *message)
{
    uint64_t came_ns = cpu_ns();

    if (message->number < talk->delivered) {
        talk->dropped++;
        return;
    }
    if (message->number > talk->delivered)
        panic("a message is missing");
    log_info("DELIVERED %u %lu", talk->experiment, message->number);
    GUARD(lock) held = lock_take(&talk->lock);
    if (talk->fault_ns && !talk->again_ns && message->offer > talk->fault_offers)
        talk->again_ns = came_ns;
    __atomic_store_n(&talk->delivered, message->number + 1, __ATOMIC_RELEASE);
    wait_queue_wake_all(&talk->changed);
}

static void receive_all(uint64_t argument)
{
    struct talk *talk = (struct talk *)argument;
    OWN(channel_end) struct channel_end *receiver = NULL;
    struct message message;

    talk->begins(CHANNEL_RECEIVER);
    if (talk->fault_ns)
        ask(talk);
    while (!is_over(talk)) {
        if (!receiver) {
            receiver = take_offer(talk);
            continue;
        }
        rest(talk, CHANNEL_RECEIVER);
        enum channel_err e = channel_receive(receiver, &message, talk->timeout_ns);
        if (e == CHANNEL_OK) {
            deliver(talk, &message);
        } else if (e == CHANNEL_CLOSED) {
            channel_end_put(MOVE(receiver));
            if (!talk->offered)
                ask(talk);
        }
    }
}

/* ---- both ---- */

static void task_ended(uint64_t argument)
{
    __atomic_fetch_add(&((struct talk *)argument)->ended, 1, __ATOMIC_RELEASE);
}

enum err talk_begin(struct talk *talk, struct task *ret_task[2])
{
    static const struct {
        const char *name;
        void (*entry)(uint64_t talk);
    } sides[] = {[CHANNEL_SENDER] = {"sender", send_all}, [CHANNEL_RECEIVER] = {"receiver", receive_all}};

    for (size_t i = 0; i < array_size(sides); i++) {
        const struct task_options options = {.restartable = true, .pinned = talk->cpu[i] + 1, .ended = task_ended};
        ret_task[i] = task_spawn(sides[i].name, sides[i].entry, (uint64_t)talk, &options);
        if (!ret_task[i])
            return ERR_NOMEM;
    }
    return ERR_OK;
}

void talk_note_fault(struct talk *talk)
{
    talk->fault_offers = talk->offers;
    talk->fault_ns = cpu_ns();
}
