/* The guest's side of the rings against a host that is honest, wrong, or hostile: this test plays the host, in the same
 * arena. Whatever is written, each request is answered with what was wrong, and the next one works. */
#include "cells/core/archive/archive.h"
#include "cells/core/arena/arena.h"
#include "cells/evolve/reap/reap.h"
#include "cells/evolve/swap/swap.h"
#include "cells/lib/string/string.h"
#include "cells/task/scheduler/scheduler.h"
#include "guest/abi/plan.h"
#include "tests/guest/fixtures/testing/testing.h"

CELL("test_host_link", KERNEL, 1);

#define SPARE      "test_canvas" /* a cell that nobody uses */
#define NOTHING_NS 40000000      /* it polls far more often */
#define GARBAGES   24

static struct arena_completion done;

static uint32_t ring_index(enum arena_table table, uint64_t seq)
{
    return arena_ring_index(seq, arena_header()->table[table].capacity);
}

static uint8_t *mailbox(void)
{
    return (uint8_t *)arena_header() + arena_header()->table[ARENA_MAILBOX].offset;
}

static bool answered(uint64_t seq)
{
    const struct arena_completion *record = arena_record(ARENA_COMPLETIONS, ring_index(ARENA_COMPLETIONS, seq));

    if (!testing_await(__atomic_load_n(&arena_header()->completion_seq, __ATOMIC_ACQUIRE) >= seq && record->seq == seq))
        return false;
    done = *record;
    return true;
}

/* Posts `request` as the next one, as a host does; the error that it is answered with. */
static enum err ask(const struct testing *test, struct arena_request request)
{
    uint64_t seq = arena_header()->request_seq + 1;
    struct arena_request *record = arena_record(ARENA_REQUESTS, ring_index(ARENA_REQUESTS, seq));

    *record = request;
    __atomic_store_n(&record->seq, seq, __ATOMIC_RELEASE);
    __atomic_store_n(&arena_header()->request_seq, seq, __ATOMIC_RELEASE);
    testing_need(test, answered(seq));
    return done.error;
}

static enum err ask_kind(const struct testing *test, uint32_t kind, const char *target, uint32_t bytes)
{
    struct arena_request request = {.kind = kind, .mailbox_bytes = bytes};

    string_copy(request.target, target, sizeof request.target);
    return ask(test, request);
}

/* Copies an object file into the mailbox. */
static uint32_t put_object(const struct testing *test, const char *member)
{
    struct archive_member file;

    testing_need(test, archive_find(member, &file) == ERR_OK && file.bytes <= ARENA_MAILBOX_BYTES);
    memcpy(mailbox(), file.data, file.bytes);
    return (uint32_t)file.bytes;
}

static void wrong_requests(const struct testing *test)
{
    struct arena_request unterminated = {.kind = REQUEST_RELOAD};

    testing_need(test, ask_kind(test, 0, "", 0) == ERR_UNSUPPORTED);
    testing_need(test, ask_kind(test, 77, "", 0) == ERR_UNSUPPORTED);
    testing_need(test, ask_kind(test, ~0u, "", 0) == ERR_UNSUPPORTED);
    testing_need(test, ask_kind(test, REQUEST_SWAP, "", 8) == ERR_INVALID);
    testing_need(test, ask_kind(test, REQUEST_SWAP, "Channel", 8) == ERR_INVALID);
    testing_need(test, ask_kind(test, REQUEST_SWAP, "channel", 0) == ERR_TRUNCATED);
    testing_need(test, ask_kind(test, REQUEST_RELOAD, "no_such", 0) == ERR_NOT_FOUND);
    testing_need(test, ask_kind(test, REQUEST_RELOAD, "nano_core", 0) == ERR_NOT_FOUND);
    testing_need(test, ask_kind(test, REQUEST_UNLOAD, "frame", 0) == ERR_BUSY);
    testing_need(test, ask_kind(test, REQUEST_UNLOAD, "scheduler", 0) == ERR_BUSY);
    testing_need(test, ask_kind(test, REQUEST_SPAWN, "no_such", 0) == ERR_NOT_FOUND);
    testing_need(test, ask_kind(test, REQUEST_LOAD, "", ARENA_MAILBOX_BYTES + 1) == ERR_RANGE);
    testing_need(test, ask_kind(test, REQUEST_LOAD, "", ~0u) == ERR_RANGE);
    memset(unterminated.target, 'a', sizeof unterminated.target);
    testing_need(test, ask(test, unterminated) == ERR_INVALID);
    testing_need(test, ask(test, (struct arena_request){.kind = REQUEST_PING, .flags = 1}) == ERR_UNSUPPORTED);
    testing_need(test, ask(test, (struct arena_request){.kind = REQUEST_PING, .flags = 0x80}) == ERR_UNSUPPORTED);
    memset(mailbox(), 'x', 4096);
    testing_need(test, ask_kind(test, REQUEST_SPAWN, "workload", 4096) == ERR_RANGE);
    testing_need(test, ask_kind(test, REQUEST_SPAWN, "channel", 0) == ERR_INVALID);
    memset(mailbox(), 0, 1000);
    testing_need(test, ask_kind(test, REQUEST_SPAWN, "workload", 1000) == ERR_RANGE);
    testing_need(test, ask_kind(test, REQUEST_PING, "", 0) == ERR_OK);
}

/* Numbers that make no sense: too far ahead, back, a record that was not written. */
static void wrong_numbers(const struct testing *test)
{
    uint64_t seq = arena_header()->request_seq;

    __atomic_store_n(&arena_header()->request_seq, seq + 1, __ATOMIC_RELEASE);
    testing_need(test, answered(seq + 1) && done.error == ERR_PROTOCOL);
    __atomic_store_n(&arena_header()->request_seq, seq + 100000, __ATOMIC_RELEASE);
    testing_need(test, answered(seq + 100000));
    __atomic_store_n(&arena_header()->request_seq, 3, __ATOMIC_RELEASE);
    scheduler_sleep_ns(NOTHING_NS);
    __atomic_store_n(&arena_header()->request_seq, seq + 100000, __ATOMIC_RELEASE);
    testing_need(test, ask_kind(test, REQUEST_PING, "", 0) == ERR_OK);
}

/* Object files with a bit flipped, cut short, or nothing but noise. */
static void garbage_objects(const struct testing *test)
{
    uint32_t bytes = put_object(test, "channel_v2"), random = 12345;

    for (int i = 0; i < GARBAGES; i++) {
        random = random * 1664525 + 1013904223;
        uint32_t at = (random >> 8) % bytes;
        mailbox()[at] ^= (uint8_t)(1u << random % 8);
        struct arena_request request = {.kind = REQUEST_SWAP, .flags = REQUEST_DRY_RUN, .target = "channel"};
        request.mailbox_bytes = i % 2 ? bytes : at;
        if (!request.mailbox_bytes)
            continue;
        (void)ask(test, request);
    }
    for (uint32_t i = 0; i < bytes; i++)
        mailbox()[i] = (uint8_t)((random = random * 1664525 + 1013904223) >> 24);
    testing_need(test, ask_kind(test, REQUEST_SWAP, "channel", bytes) == ERR_NOT_ELF);
    testing_need(test, ask_kind(test, REQUEST_LOAD, "", bytes) == ERR_NOT_ELF);
    testing_need(test, ask_kind(test, REQUEST_PING, "", 0) == ERR_OK);
}

static void load_and_unload(const struct testing *test)
{
    testing_need(test, ask_kind(test, REQUEST_LOAD, "", put_object(test, SPARE)) == ERR_OK);
    testing_need(test, arena_cell_find(NAMESPACE_ROOT, SPARE).index == done.result);
    testing_need(test, ask_kind(test, REQUEST_LOAD, "", put_object(test, SPARE)) == ERR_EXISTS);
    testing_need(test, ask_kind(test, REQUEST_UNLOAD, SPARE, 0) == ERR_OK);
    testing_need(test, !arena_cell_find(NAMESPACE_ROOT, SPARE).index);
    testing_need(test, testing_await(!reap_replaced()));
}

static void swap_there_and_back(const struct testing *test)
{
    struct arena_request dry = {.kind = REQUEST_SWAP, .flags = REQUEST_DRY_RUN, .target = "channel"};

    dry.mailbox_bytes = put_object(test, "channel_v2");
    testing_need(test,
                 ask(test, dry) == ERR_OK && arena_cell(arena_cell_find(NAMESPACE_ROOT, "channel"))->version == 1);
    const struct plan_item *plan = (const struct plan_item *)mailbox(); /* it is there in place of the object */
    testing_need(test, done.items > 10 && !done.items_lost && plan->kind == PLAN_CELL && plan->new_version == 2);
    testing_need(test, ask_kind(test, REQUEST_SWAP, "channel", put_object(test, "channel_v2")) == ERR_OK);
    testing_need(test, arena_cell(arena_cell_find(NAMESPACE_ROOT, "channel"))->version == 2);
    testing_need(test, ask_kind(test, REQUEST_SWAP, "channel", put_object(test, "channel")) == ERR_OK);
    testing_need(test, ask_kind(test, REQUEST_RELOAD, "channel", 0) == ERR_OK);
    testing_need(test, arena_cell(arena_cell_find(NAMESPACE_ROOT, "channel"))->version == 1);
    testing_need(test, testing_await(!reap_replaced()));
}

static void run_application(const struct testing *test)
{
    struct arena_request spawn = {.kind = REQUEST_SPAWN, .target = "workload"};
    const uint64_t *rounds = &arena_header()->counter[COUNTER_rounds], before = *rounds;

    spawn.mailbox_bytes = sizeof "rounds=2";
    memcpy(mailbox(), "rounds=2", sizeof "rounds=2");
    testing_need(test, ask(test, spawn) == ERR_OK && done.result);
    testing_need(test, testing_await(__atomic_load_n(rounds, __ATOMIC_RELAXED) >= before + 2));
    testing_need(test, *rounds == before + 2);
    testing_need(test, ask_kind(test, REQUEST_UNLOAD, "channel", 0) == ERR_BUSY);
}

static int test_host_link_main(int, char **)
{
    struct testing test = testing_begin("test_host_link");

    run_application(&test);
    testing_ok(&test, "an application is run, and what is in use is not unloaded");
    load_and_unload(&test);
    swap_there_and_back(&test);
    test = testing_begin("test_host_link");
    wrong_requests(&test);
    testing_ok(&test, "wrong requests are refused, and say why");
    wrong_numbers(&test);
    testing_ok(&test, "wrong numbers do no harm");
    garbage_objects(&test);
    testing_ok(&test, "damaged objects are refused or planned, and change nothing");
    load_and_unload(&test);
    swap_there_and_back(&test);
    testing_ok(&test, "cells are loaded, swapped and unloaded");
    testing_end(&test);
}
MAIN(test_host_link_main);
