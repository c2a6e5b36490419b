/* A cell is loaded, swapped for another version and unloaded, again and again, while other tasks use other cells. All
 * that was taken is free again: frames, records of every table, names, heap, virtual space. How often: churn=N on the
 * guest's command line. */
#include "cells/channel/channel/channel.h"
#include "cells/core/archive/archive.h"
#include "cells/core/arena/arena.h"
#include "cells/core/cpu/cpu.h"
#include "cells/core/frame/frame.h"
#include "cells/core/lifecycle/lifecycle.h"
#include "cells/core/loader/loader.h"
#include "cells/core/page/page.h"
#include "cells/evolve/reap/reap.h"
#include "cells/evolve/swap/swap.h"
#include "cells/host/log/log.h"
#include "cells/host/request/request.h"
#include "cells/memory/heap/heap.h"
#include "cells/task/scheduler/scheduler.h"
#include "cells/task/task/task.h"
#include "tests/guest/fixtures/passing/passing.h"
#include "tests/guest/fixtures/testing/testing.h"

CELL("test_churn", KERNEL, 1);

#define TURNS_DEFAULT 60
#define WARM_UP       100
#define PAUSE_NS      1000000
#define REAPS_MAX     1000
#define ATTEMPTS_MAX  3

/* ---- tasks that use other cells ---- */

static struct channel_end *sender, *receiver;
static uint64_t sent, received;
static bool stopping;

static void send_all(uint64_t)
{
    while (!__atomic_load_n(&stopping, __ATOMIC_RELAXED)) {
        OWN(heap) uint64_t *message = heap_alloc(8 + sent % 512);
        if (!message)
            continue;
        *message = sent;
        if (channel_send(sender, message, 0) == CHANNEL_OK)
            sent++;
        if (sent % 16 == 0)
            scheduler_sleep_ns(PAUSE_NS);
    }
    channel_end_put(MOVE(sender));
}

static void receive_all(uint64_t)
{
    uint64_t message;

    while (channel_receive(receiver, &message, 0) == CHANNEL_OK)
        if (message == received)
            received++;
    channel_end_put(MOVE(receiver));
}

/* ---- what is in use ---- */

struct use {
    uint64_t records[ARENA_STRINGS], strings, heap_bytes, heap_blocks, frames_free, virtual_bytes;
};

static uint64_t records_in_use(enum arena_table table)
{
    uint64_t n = 0;

    for (uint32_t i = 1; i < arena_header()->table[table].used; i++)
        n += *(const uint32_t *)arena_record(table, i) != 0; /* the check word of a free record is 0 */
    return n;
}

static struct use count_use(void)
{
    const uint64_t *counter = arena_header()->counter;
    struct use use;

    heap_trim();
    for (enum arena_table t = 0; t < ARENA_STRINGS; t++)
        use.records[t] = t < ARENA_FAULTS ? records_in_use(t) : 0;
    use.strings = counter[COUNTER_strings];
    use.heap_bytes = counter[COUNTER_heap_bytes];
    use.heap_blocks = counter[COUNTER_heap_blocks];
    use.frames_free = frame_free_count() + page_own_frames();
    use.virtual_bytes = page_virtual_bytes();
    return use;
}

static bool is_same(const struct use *a, const struct use *b)
{
    for (enum arena_table t = 0; t < ARENA_STRINGS; t++)
        if (a->records[t] != b->records[t])
            return false;
    return a->strings == b->strings && a->heap_bytes == b->heap_bytes && a->heap_blocks == b->heap_blocks &&
           a->frames_free == b->frames_free && a->virtual_bytes == b->virtual_bytes;
}

static void print_use(const char *when, const struct use *use)
{
    log_info("%s: objects %lu, cells %lu, sections %lu, symbols %lu, edges %lu, tasks %lu, strings %lu, heap %lu bytes "
             "in %lu "
             "blocks, frames free %lu, virtual %lu",
             when, use->records[ARENA_OBJECTS], use->records[ARENA_CELLS], use->records[ARENA_SECTIONS],
             use->records[ARENA_SYMBOLS], use->records[ARENA_EDGES], use->records[ARENA_TASKS], use->strings,
             use->heap_bytes, use->heap_blocks, use->frames_free, use->virtual_bytes);
}

/* ---- one round ---- */

enum { LOADING, SWAPPING, REAPING, UNLOADING, STEPS };
static uint64_t spent_ns[STEPS];

static void spend(unsigned step, uint64_t *since)
{
    uint64_t now = cpu_ns();

    spent_ns[step] += now - *since;
    *since = now;
}

static void ask(const struct testing *test, enum request_kind kind, const char *member)
{
    struct arena_request request = {.kind = kind, .target = "passing"};
    static struct report done;

    if (member)
        request_execute_member(&request, member, &done);
    else
        request_execute(&request, NULL, &done);
    if (done.error)
        log_warn("request %u: %s (%s)", kind, err_text(done.error), done.text);
    testing_need(test, !done.error);
}

static void call(const struct testing *test, uint32_t version, uint32_t calls)
{
    struct passing (*function)(uint64_t);
    uint64_t address = 0;

    testing_need(test, lifecycle_symbol("passing_call", &address) == ERR_OK);
    function = (struct passing(*)(uint64_t))address;
    struct passing was = function(calls);
    testing_need(test, was.version == version && was.calls == calls);
}

static size_t old_versions(void)
{
    size_t n = 0;

    for_each_cell (i)
        n += arena_cell(i)->state == CELL_OLD;
    return n;
}

static void reap(const struct testing *test)
{
    for (int i = 0; old_versions() && i < REAPS_MAX; i++)
        (void)reap_replaced();
    testing_need(test, !old_versions());
}

static void come_and_go(const struct testing *test)
{
    uint64_t since = cpu_ns();

    ask(test, REQUEST_LOAD, "passing");
    call(test, 1, 1);
    call(test, 1, 2);
    spend(LOADING, &since);
    ask(test, REQUEST_SWAP, "passing_v2");
    call(test, 2, 3);
    spend(SWAPPING, &since);
    reap(test); /* the old version's code refers to the new one's data */
    spend(REAPING, &since);
    ask(test, REQUEST_UNLOAD, NULL);
    reap(test);
    spend(UNLOADING, &since);
}

/* ---- the whole ---- */

/* Call while nothing else allocates. */
static struct use use_at_rest(const struct use *like)
{
    struct use use;

    for (int i = 0; !like && i < 6; i++)
        scheduler_sleep_ns(10 * PAUSE_NS);
    for (int i = 0; i < 200 && (use = count_use(), like && !is_same(&use, like)); i++)
        scheduler_sleep_ns(10 * PAUSE_NS);
    return use;
}

static void churn(const struct testing *test, unsigned turns)
{
    testing_need(test, channel_new(8, 8, &sender, &receiver) == ERR_OK);
    sent = received = 0;
    stopping = false;
    OWN(task) struct task *sending = task_spawn("sender", send_all, 0, NULL);
    OWN(task) struct task *receiving = task_spawn("receiver", receive_all, 0, NULL);
    testing_need(test, sending && receiving);
    for (unsigned i = 0; i < turns; i++)
        come_and_go(test);
    __atomic_store_n(&stopping, true, __ATOMIC_RELAXED);
    testing_need(test, task_join(MOVE(sending), NULL) == JOIN_ENDED && task_join(MOVE(receiving), NULL) == JOIN_ENDED);
    testing_need(test, sent > 0 && sent == received);
}

static void print_times(unsigned turns)
{
    uint64_t per = 1000ul * (turns + !turns);

    log_info("%u turns, each %lu us to load, %lu to swap, %lu to reap, %lu to unload", turns, spent_ns[LOADING] / per,
             spent_ns[SWAPPING] / per, spent_ns[REAPING] / per, spent_ns[UNLOADING] / per);
}

/* Ranges are kept for as much as was ever mapped at once, which chance may make more late; what leaks does so each
 * time. */
static bool comes_back(const struct testing *test, unsigned turns)
{
    bool same = false;

    for (int i = 0; i < ATTEMPTS_MAX && !same; i++) {
        struct use before = use_at_rest(NULL);
        for (unsigned step = 0; step < STEPS; step++)
            spent_ns[step] = 0;
        churn(test, turns);
        print_times(turns);
        struct use after = use_at_rest(&before);
        same = is_same(&before, &after);
        print_use("before", &before);
        print_use("after ", &after);
    }
    return same;
}

static int test_churn_main(int, char **)
{
    struct testing test = testing_begin("test_churn");
    unsigned turns = testing_times("churn", TURNS_DEFAULT);

    churn(&test, WARM_UP); /* page tables and ranges for two versions stay */
    test = testing_begin("test_churn");
    testing_need(&test, comes_back(&test, turns));
    log_info("TEST test_churn: ok: %u times loaded, swapped and unloaded, all given back", turns);
    testing_end(&test);
}
MAIN(test_churn_main);
