/* Fifty swaps between the two versions of channel, under traffic in both directions: every message arrives once and in
 * order, also at tasks that sleep in the old version; totals are carried; no frame is lost. */
#include "cells/channel/channel/channel.h"
#include "cells/core/arena/arena.h"
#include "cells/core/cpu/cpu.h"
#include "cells/evolve/reap/reap.h"
#include "cells/evolve/swap/swap.h"
#include "cells/host/log/log.h"
#include "cells/host/request/request.h"
#include "cells/lib/string/string.h"
#include "cells/task/scheduler/scheduler.h"
#include "cells/task/task/task.h"
#include "tests/guest/fixtures/testing/testing.h"

CELL("test_versions", KERNEL, 1);

#define SWAPS    50
#define LINES    2
#define PAUSE_NS 3000000

static struct line {
    struct channel_end *sender, *receiver;
    uint64_t sent, received;
} lines[LINES];
static bool stopping;

static void send_numbers(uint64_t index)
{
    struct line *line = &lines[index];

    while (!__atomic_load_n(&stopping, __ATOMIC_RELAXED)) {
        uint64_t message[3] = {line->sent, ~line->sent, index};
        if (channel_send(line->sender, message, 0) != CHANNEL_OK)
            task_exit(1);
        line->sent++;
        if (line->sent % 64 == 0)
            scheduler_sleep_ns(PAUSE_NS / 2); /* so that the receiver sleeps now and then */
    }
    channel_end_put(MOVE(line->sender));
}

static void receive_numbers(uint64_t index)
{
    struct line *line = &lines[index];
    uint64_t message[3];
    enum channel_err e;

    while ((e = channel_receive(line->receiver, message, 0)) == CHANNEL_OK) {
        if (message[0] != line->received || message[1] != ~message[0] || message[2] != index)
            task_exit(1);
        line->received++;
    }
    channel_end_put(MOVE(line->receiver));
    task_exit(e == CHANNEL_CLOSED ? 0 : 1);
}

static uint32_t version_of_channel(void)
{
    return arena_cell(arena_cell_find(NAMESPACE_ROOT, "channel"))->version;
}

static void swap_to(const struct testing *test, const char *member, uint32_t version)
{
    struct arena_request request = {.kind = REQUEST_SWAP, .target = "channel"};
    static struct report done;

    request_execute_member(&request, member, &done);
    if (done.error)
        log_warn("swap to %s: %s (%s)", member, err_text(done.error), done.text);
    testing_need(test, !done.error && version_of_channel() == version);
}

static void talk_and_swap(const struct testing *test, unsigned swaps)
{
    struct channel_totals before, after;
    struct task *task[2 * LINES];
    uint64_t sent = 0;

    channel_totals(&before);
    stopping = false;
    for (unsigned i = 0; i < LINES; i++) {
        lines[i] = (struct line){0};
        testing_need(test, channel_new(5, sizeof(uint64_t[3]), &lines[i].sender, &lines[i].receiver) == ERR_OK);
        task[2 * i] = task_spawn("sender", send_numbers, i, NULL);
        task[2 * i + 1] = task_spawn("receiver", receive_numbers, i, NULL);
        testing_need(test, task[2 * i] && task[2 * i + 1]);
    }
    for (unsigned i = 0; i < swaps; i++) {
        scheduler_sleep_ns(PAUSE_NS);
        swap_to(test, i % 2 ? "channel" : "channel_v2", i % 2 ? 1 : 2);
    }
    __atomic_store_n(&stopping, true, __ATOMIC_RELAXED);
    for (unsigned i = 0; i < 2 * LINES; i++) {
        int32_t code = -1;
        testing_need(test, task_join(MOVE(task[i]), &code) == JOIN_ENDED && code == 0);
    }
    for (unsigned i = 0; i < LINES; i++) {
        testing_need(test, lines[i].sent > 0 && lines[i].sent == lines[i].received);
        sent += lines[i].sent;
    }
    channel_totals(&after);
    /* A sender that was kept off its CPU before it had counted does so in the version that it called: at most one a
     * line and swap. */
    uint64_t messages = after.messages - before.messages, bytes = after.bytes - before.bytes, astray = swaps * LINES;
    testing_need(test, sent > 10 * astray);
    testing_need(test, messages <= sent && messages + astray >= sent);
    testing_need(test, bytes <= sent * 24 && bytes + astray * 24 >= sent * 24);
}

static void reap_old_versions(const struct testing *test)
{
    testing_need(test, testing_await(!reap_replaced()));
}

static int test_versions_main(int, char **)
{
    struct testing test = testing_begin("test_versions");

    talk_and_swap(&test, 4);
    reap_old_versions(&test);
    test = testing_begin("test_versions");
    talk_and_swap(&test, SWAPS);
    testing_ok(&test, "50 swaps under traffic, every message once and in order");
    testing_ok(&test, "totals go over from version to version");
    reap_old_versions(&test);
    testing_end(&test);
}
MAIN(test_versions_main);
