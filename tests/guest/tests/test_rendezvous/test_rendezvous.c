/* From synchronous to asynchronous channels and back, under load (thesis §9.1.1): several tasks exchange messages over
 * several channels, most of them asleep in the middle of a call, when the channel cell is replaced, and its user with
 * it. No message is lost or doubled, all arrive in order, and no task is restarted. */
#include "cells/core/arena/arena.h"
#include "cells/core/cpu/cpu.h"
#include "cells/evolve/reap/reap.h"
#include "cells/task/scheduler/scheduler.h"
#include "cells/task/task/task.h"
#include "tests/guest/fixtures/talker/talker.h"
#include "tests/guest/fixtures/testing/exchange.h"
#include "tests/guest/fixtures/testing/testing.h"

CELL("test_rendezvous", KERNEL, 1);

#define TALKS     3
#define STAGES    2 /* tasks that pass a message on */
#define TASKS     (2 * TALKS + STAGES)
#define EXCHANGES 12
#define TURN_NS   2000000

static const char *const both[] = {"channel", "talker", NULL}, *const apart[] = {"channel", "talker_v2", NULL},
                         *const together[] = {"channel_v3", "talker", NULL}, *const channel[] = {"channel", NULL},
                         *const synchronous[] = {"channel_v3", NULL};
static struct report report;
static bool stopping;

static uint32_t version_of(const char *name)
{
    return arena_cell(arena_cell_find(NAMESPACE_ROOT, name))->version;
}

static void all_reaped(const struct testing *test)
{
    testing_need(test, testing_await(!reap_replaced()));
}

/* ---- a meeting ---- */

static struct meeting {
    struct channel_end *sender, *receiver;
    uint64_t timeout_ns;
    enum channel_err result;
    uint32_t returned;
} meeting;

static void send_once(uint64_t message)
{
    meeting.result = channel_send(meeting.sender, &message, meeting.timeout_ns);
    __atomic_store_n(&meeting.returned, 1, __ATOMIC_RELEASE);
}

static struct task *begin_to_send(const struct testing *test, uint64_t message, uint64_t timeout_ns)
{
    meeting.returned = 0;
    meeting.timeout_ns = timeout_ns;
    struct task *task = task_spawn("sender", send_once, message, NULL);
    testing_need(test, task);
    testing_need(test, testing_await(meeting.returned || (task->record->state == TASK_BLOCKED && !task->on_cpu)));
    return task;
}

static void meets(const struct testing *test)
{
    uint64_t message = 0;

    testing_need(test, version_of("channel") == 3);
    testing_need(test, channel_new(4, 8, &meeting.sender, &meeting.receiver) == ERR_OK);
    struct task *task = begin_to_send(test, 5, 0);
    testing_need(test, !meeting.returned && channel_waiting(meeting.sender) == 1); /* though there would be room */
    testing_need(test, channel_receive(meeting.receiver, &message, 0) == CHANNEL_OK && message == 5);
    testing_need(test, task_join(task, NULL) == JOIN_ENDED && meeting.result == CHANNEL_OK);
    testing_need(test, channel_waiting(meeting.receiver) == 0);

    task = begin_to_send(test, 6, 5 * TURN_NS);
    testing_need(test, task_join(task, NULL) == JOIN_ENDED && meeting.result == CHANNEL_TIMEOUT);
    testing_need(test, channel_receive(meeting.receiver, &message, TURN_NS) == CHANNEL_TIMEOUT); /* it was withdrawn */

    task = begin_to_send(test, 7, 0);
    channel_end_put(MOVE(meeting.receiver));
    testing_need(test, task_join(task, NULL) == JOIN_ENDED && meeting.result == CHANNEL_CLOSED);
    channel_end_put(MOVE(meeting.sender));
}

/* What an asynchronous version keeps is received from a synchronous one, before anything that is sent there. */
static void kept_messages_come_first(const struct testing *test)
{
    uint64_t message;

    testing_need(test, exchange_cells(channel, channel, 0, &report) == ERR_OK && version_of("channel") == 1);
    testing_need(test, channel_new(4, 8, &meeting.sender, &meeting.receiver) == ERR_OK);
    for (message = 1; message <= 3; message++)
        testing_need(test, channel_send(meeting.sender, &message, 0) == CHANNEL_OK);
    testing_need(test, exchange_cells(channel, synchronous, 0, &report) == ERR_OK);
    struct task *task = begin_to_send(test, 4, 0);
    testing_need(test, !meeting.returned && channel_waiting(meeting.sender) == 4);
    for (uint64_t i = 1; i <= 4; i++)
        testing_need(test, channel_receive(meeting.receiver, &message, 0) == CHANNEL_OK && message == i);
    testing_need(test, task_join(task, NULL) == JOIN_ENDED && meeting.result == CHANNEL_OK);
    channel_end_put(MOVE(meeting.sender));
    testing_need(test, channel_receive(meeting.receiver, &message, 0) == CHANNEL_CLOSED);
    channel_end_put(MOVE(meeting.receiver));
    all_reaped(test);
}

/* ---- talks: pairs of tasks, and a chain ---- */

static struct talk pairs[TALKS], chain[STAGES + 1];
static struct task *tasks[TASKS + 2];
static uint32_t ids[TASKS + 2];

static bool is_stopping(void)
{
    return __atomic_load_n(&stopping, __ATOMIC_RELAXED);
}

static void say(uint64_t argument)
{
    struct talk *talk = (struct talk *)argument;

    while (!is_stopping() && talker_send(talk) == CHANNEL_OK)
        if (talk->sent % 64 == 0)
            scheduler_sleep_ns(TURN_NS);
    channel_end_put(MOVE(talk->sender));
}

static void hear(uint64_t argument)
{
    struct talk *talk = (struct talk *)argument;

    while (talker_receive(talk) == CHANNEL_OK)
        if (talk->received % 96 == 0)
            scheduler_sleep_ns(TURN_NS);
    channel_end_put(MOVE(talk->receiver));
}

/* Sends one message for each that it receives. */
static void pass_on(uint64_t stage)
{
    while (talker_receive(&chain[stage]) == CHANNEL_OK)
        if (talker_send(&chain[stage + 1]) != CHANNEL_OK)
            break;
    channel_end_put(MOVE(chain[stage].receiver));
    channel_end_put(MOVE(chain[stage + 1].sender));
}

static void open(const struct testing *test, struct talk *talk)
{
    *talk = (struct talk){0};
    testing_need(test, channel_new(3, sizeof(uint64_t[2]), &talk->sender, &talk->receiver) == ERR_OK);
}

static void spawn(const struct testing *test, unsigned *count, void (*entry)(uint64_t), uint64_t argument)
{
    tasks[*count] = task_spawn("talker", entry, argument, NULL);
    testing_need(test, tasks[*count]);
    ids[*count] = tasks[*count]->id;
    ++*count;
}

static unsigned start(const struct testing *test)
{
    unsigned count = 0;

    stopping = false;
    for (unsigned i = 0; i < TALKS; i++) {
        open(test, &pairs[i]);
        spawn(test, &count, say, (uint64_t)&pairs[i]);
        spawn(test, &count, hear, (uint64_t)&pairs[i]);
    }
    for (unsigned i = 0; i <= STAGES; i++)
        open(test, &chain[i]);
    spawn(test, &count, say, (uint64_t)&chain[0]);
    for (unsigned i = 0; i < STAGES; i++)
        spawn(test, &count, pass_on, i);
    spawn(test, &count, hear, (uint64_t)&chain[STAGES]);
    return count;
}

static uint64_t sum_sent(void)
{
    uint64_t sum = 0;

    for (unsigned i = 0; i < TALKS; i++)
        sum += pairs[i].sent;
    for (unsigned i = 0; i <= STAGES; i++)
        sum += chain[i].sent;
    return sum;
}

static void stop(const struct testing *test, unsigned count, uint64_t total_before)
{
    __atomic_store_n(&stopping, true, __ATOMIC_RELAXED);
    for (unsigned i = 0; i < count; i++) {
        testing_need(test, tasks[i]->id == ids[i] && !tasks[i]->record->restarts);
        testing_need(test, task_join(MOVE(tasks[i]), NULL) == JOIN_ENDED);
    }
    for (unsigned i = 0; i < TALKS; i++)
        testing_need(test, !pairs[i].wrong && pairs[i].sent && pairs[i].sent == pairs[i].received);
    for (unsigned i = 0; i <= STAGES; i++)
        testing_need(test, !chain[i].wrong && chain[i].sent && chain[i].sent == chain[i].received);
    testing_need(test, talker_total() - total_before == sum_sent());
}

static uint64_t received_by(unsigned talk)
{
    const struct talk *t = talk < TALKS ? &pairs[talk] : &chain[STAGES];

    return __atomic_load_n(&t->received, __ATOMIC_RELAXED);
}

static void print_tasks(unsigned talk, uint64_t received)
{
    log_warn("talk %u stands still at %lu; channel version %u", talk, received, version_of("channel"));
    for (unsigned i = 0; i <= STAGES; i++)
        log_warn("chain %u: sent %lu, received %lu", i, chain[i].sent, chain[i].received);
    for (unsigned i = 0; i < TASKS + 2 && tasks[i]; i++)
        log_warn("task %u: state %u, asleep %u, in a call %u", i, tasks[i]->record->state,
                 scheduler_is_waiting(&tasks[i]->scheduler), tasks[i]->calls != NULL);
}

/* Every talk continues from where it was. */
static void all_go_on(const struct testing *test)
{
    uint64_t before[TALKS + 1];

    for (unsigned i = 0; i <= TALKS; i++)
        before[i] = received_by(i);
    for (unsigned i = 0; i <= TALKS; i++) {
        bool hears = testing_await(received_by(i) >= before[i] + 5);
        if (!hears)
            print_tasks(i, before[i]);
        testing_need(test, hears);
    }
}

static void exchange_under_load(const struct testing *test, unsigned exchanges)
{
    struct channel_totals before, after;
    uint64_t total = talker_total(), longest_ns = 0;

    channel_totals(&before);
    unsigned count = start(test);
    all_go_on(test);
    for (unsigned i = 0; i < exchanges; i++) {
        bool is_apart = i % 2 == 0;
        testing_need(test, exchange_cells(both, is_apart ? apart : together, 0, &report) == ERR_OK);
        testing_need(test, version_of("channel") == (is_apart ? 1 : 3) && talker_version() == (is_apart ? 2 : 1));
        if (report.pause_ns > longest_ns)
            longest_ns = report.pause_ns;
        all_go_on(test);
    }
    for (unsigned i = 0; i < exchanges; i++) { /* the channel alone, below users that stay */
        testing_need(test, exchange_cells(channel, i % 2 ? synchronous : channel, 0, &report) == ERR_OK);
        all_go_on(test);
    }
    uint64_t sent = sum_sent();
    stop(test, count, total);
    channel_totals(&after);
    testing_need(test, after.messages - before.messages == sum_sent());
    log_info("%lu messages during %u exchanges, the longest pause %lu us", sent, 2 * exchanges, longest_ns / 1000);
    all_reaped(test);
}

static int test_rendezvous_main(int, char **)
{
    struct testing test = testing_begin("test_rendezvous");

    testing_need(&test, exchange_cells(both, together, 0, &report) == ERR_OK);
    all_reaped(&test);
    exchange_under_load(&test, 2); /* page tables and handles for two versions stay */
    test = testing_begin("test_rendezvous");
    meets(&test);
    testing_ok(&test, "a send returns when its message has been taken, and not before");
    kept_messages_come_first(&test);
    testing_ok(&test, "what was kept is received after a swap to channels that keep nothing");
    exchange_under_load(&test, EXCHANGES);
    testing_ok(&test, "24 exchanges under load: every message once and in order, every task goes on");
    testing_end(&test);
}
MAIN(test_rendezvous_main);
