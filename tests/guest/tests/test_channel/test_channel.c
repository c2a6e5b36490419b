/* Channels keep every message, in order, between CPUs and among many tasks; an end that is released, also by a fault,
 * is noticed at the other one. */
#include "cells/channel/channel/channel.h"
#include "cells/core/arena/arena.h"
#include "cells/core/cpu/cpu.h"
#include "cells/core/panic/panic.h"
#include "cells/task/scheduler/scheduler.h"
#include "cells/task/task/task.h"
#include "tests/guest/fixtures/testing/testing.h"

CELL("test_channel", KERNEL, 1);

#define MESSAGES   3000
#define SLOTS      8
#define CROWD      4
#define TIMEOUT_NS 30000000ull

/* 5 words and a byte: a size that is no multiple of a word. */
struct message {
    uint64_t number[5];
    uint8_t last;
} __attribute__((packed));

static struct pair {
    struct channel_end *sender, *receiver;
    uint64_t sum, received;
} pair;

static struct message message_of(uint64_t number)
{
    return (struct message){{number, number * 3, ~number, number << 32, 7}, (uint8_t)number};
}

static bool is_message(const struct message *message, uint64_t number)
{
    struct message right = message_of(number);

    for (int i = 0; i < 5; i++)
        if (message->number[i] != right.number[i])
            return false;
    return message->last == right.last;
}

static void send_all(uint64_t first)
{
    for (uint64_t i = first; i < first + MESSAGES; i++) {
        struct message message = message_of(i);
        if (channel_send(pair.sender, &message, 0) != CHANNEL_OK)
            task_exit(1);
    }
}

static void receive_in_order(uint64_t)
{
    for (uint64_t i = 0; i < MESSAGES; i++) {
        struct message message;
        if (channel_receive(pair.receiver, &message, 0) != CHANNEL_OK || !is_message(&message, i))
            task_exit(1);
    }
}

static void receive_any(uint64_t)
{
    for (uint64_t i = 0; i < MESSAGES; i++) {
        struct message message;
        if (channel_receive(pair.receiver, &message, 0) != CHANNEL_OK || !is_message(&message, message.number[0]))
            task_exit(1);
        __atomic_fetch_add(&pair.sum, message.number[0], __ATOMIC_RELAXED);
    }
}

static void open_pair(const struct testing *test, size_t slots)
{
    testing_need(test, channel_new(slots, sizeof(struct message), &pair.sender, &pair.receiver) == ERR_OK);
    pair.sum = pair.received = 0;
}

static void close_pair(void)
{
    channel_end_put(MOVE(pair.sender));
    channel_end_put(MOVE(pair.receiver));
}

static struct task *start(const struct testing *test, void (*entry)(uint64_t), uint64_t argument, unsigned cpu)
{
    struct task *task = task_spawn("end", entry, argument, &(struct task_options){.pinned = cpu + 1});

    testing_need(test, task);
    return task;
}

static void join(const struct testing *test, struct task *task)
{
    int32_t code = -1;

    testing_need(test, task_join(task, &code) == JOIN_ENDED && code == 0);
}

static void in_order(const struct testing *test, size_t slots, unsigned sender_cpu, unsigned receiver_cpu)
{
    open_pair(test, slots);
    struct task *receiver = start(test, receive_in_order, 0, receiver_cpu);
    struct task *sender = start(test, send_all, 0, sender_cpu);
    join(test, sender);
    join(test, receiver);
    testing_need(test, channel_waiting(pair.receiver) == 0);
    close_pair();
}

/* Several tasks borrow each end; a wake-up that is lost would leave one of them asleep. */
static void in_a_crowd(const struct testing *test)
{
    struct task *senders[CROWD], *receivers[CROWD];
    uint64_t all = (uint64_t)CROWD * MESSAGES;

    open_pair(test, 3);
    for (unsigned i = 0; i < CROWD; i++) {
        receivers[i] = start(test, receive_any, 0, i % cpu_count());
        senders[i] = start(test, send_all, (uint64_t)i * MESSAGES, (i + 1) % cpu_count());
    }
    for (unsigned i = 0; i < CROWD; i++) {
        join(test, senders[i]);
        join(test, receivers[i]);
    }
    testing_need(test, pair.sum == all * (all - 1) / 2);
    close_pair();
}

static void closed(const struct testing *test)
{
    struct message message = message_of(1);

    open_pair(test, SLOTS);
    testing_need(test, channel_send(pair.sender, &message, 0) == CHANNEL_OK);
    channel_end_put(MOVE(pair.sender));
    testing_need(test, channel_receive(pair.receiver, &message, 0) == CHANNEL_OK && is_message(&message, 1));
    testing_need(test, channel_receive(pair.receiver, &message, 0) == CHANNEL_CLOSED);
    close_pair();
    open_pair(test, SLOTS);
    channel_end_put(MOVE(pair.receiver));
    testing_need(test, channel_send(pair.sender, &message, 0) == CHANNEL_CLOSED);
    close_pair();
}

static void receive_closed(uint64_t)
{
    struct message message;

    task_exit(channel_receive(pair.receiver, &message, 0) == CHANNEL_CLOSED ? 0 : 1);
}

static void send_closed(uint64_t)
{
    struct message message = message_of(0);
    enum channel_err e;

    do
        e = channel_send(pair.sender, &message, 0);
    while (e == CHANNEL_OK);
    task_exit(e == CHANNEL_CLOSED ? 0 : 1);
}

static void closed_while_asleep(const struct testing *test)
{
    open_pair(test, SLOTS);
    struct task *task = start(test, receive_closed, 0, 0);
    scheduler_sleep_ns(TIMEOUT_NS);
    channel_end_put(MOVE(pair.sender));
    join(test, task);
    close_pair();
    open_pair(test, SLOTS);
    task = start(test, send_closed, 0, 0);
    scheduler_sleep_ns(TIMEOUT_NS);
    channel_end_put(MOVE(pair.receiver));
    join(test, task);
    close_pair();
}

static void time_out(const struct testing *test)
{
    struct message message = message_of(0);
    uint64_t begin = cpu_ns();

    open_pair(test, 1);
    testing_need(test, channel_receive(pair.receiver, &message, TIMEOUT_NS) == CHANNEL_TIMEOUT);
    testing_need(test, cpu_ns() - begin >= TIMEOUT_NS);
    testing_need(test, channel_send(pair.sender, &message, TIMEOUT_NS) == CHANNEL_OK);
    begin = cpu_ns();
    testing_need(test, channel_send(pair.sender, &message, TIMEOUT_NS) == CHANNEL_TIMEOUT);
    testing_need(test, cpu_ns() - begin >= TIMEOUT_NS);
    testing_need(test, channel_waiting(pair.sender) == 1);
    close_pair();
}

static void bad_sizes(const struct testing *test)
{
    struct channel_end *sender = NULL, *receiver = NULL;

    testing_need(test, channel_new(0, 8, &sender, &receiver) == ERR_INVALID);
    testing_need(test, channel_new(8, 0, &sender, &receiver) == ERR_INVALID);
    testing_need(test, channel_new(1ul << 32, 1ul << 32, &sender, &receiver) == ERR_INVALID);
    testing_need(test, channel_new(1ul << 40, 8, &sender, &receiver) == ERR_INVALID);
    testing_need(test, !sender && !receiver);
    channel_end_put(NULL);
}

static void fault_with_end(uint64_t address)
{
    OWN(channel_end) struct channel_end *mine = MOVE(pair.sender);

    *(volatile int *)address = 1;
}

static void panic_with_end(uint64_t)
{
    OWN(channel_end) struct channel_end *mine = MOVE(pair.sender);

    panic("for the test");
}

static void released_by_fault(const struct testing *test, void (*entry)(uint64_t))
{
    struct message message;

    open_pair(test, SLOTS);
    struct task *task = start(test, entry, 16, cpu_count() - 1);
    testing_need(test, channel_receive(pair.receiver, &message, 0) == CHANNEL_CLOSED);
    testing_need(test, task_join(task, NULL) == JOIN_FAILED);
    close_pair();
}

static void counted(const struct testing *test)
{
    struct channel_totals before, after;
    uint64_t counter = arena_header()->counter[COUNTER_messages];

    channel_totals(&before);
    in_order(test, SLOTS, 0, 0);
    channel_totals(&after);
    testing_need(test, after.messages - before.messages == MESSAGES);
    testing_need(test, after.bytes - before.bytes == MESSAGES * sizeof(struct message));
    testing_need(test, arena_header()->counter[COUNTER_messages] - counter == MESSAGES);
}

static int test_channel_main(int, char **)
{
    struct testing test = testing_begin("test_channel");

    in_a_crowd(&test);
    in_order(&test, SLOTS, 0, cpu_count() - 1);
    test = testing_begin("test_channel");
    in_order(&test, 1, 0, 0);
    in_order(&test, SLOTS, 0, cpu_count() - 1);
    testing_ok(&test, "every message once and in order");
    in_a_crowd(&test);
    testing_ok(&test, "no wake-up is lost among many tasks");
    closed(&test);
    closed_while_asleep(&test);
    testing_ok(&test, "an end that is released is noticed");
    time_out(&test);
    testing_ok(&test, "time-outs come, and not early");
    bad_sizes(&test);
    testing_ok(&test, "sizes out of range are refused");
    counted(&test);
    testing_ok(&test, "messages and bytes are counted");
    if (testing_has_recovery()) {
        released_by_fault(&test, fault_with_end);
        released_by_fault(&test, panic_with_end);
        testing_ok(&test, "a task that fails releases its end");
    }
    testing_end(&test);
}
MAIN(test_channel_main);
