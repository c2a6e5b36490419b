/* A task that promises progress and makes none fails where it is, asleep or not, and what it holds is released; one
 * that keeps its promise does not. */
#include "cells/core/arena/arena.h"
#include "cells/core/cpu/cpu.h"
#include "cells/core/lock/lock.h"
#include "cells/lib/string/string.h"
#include "cells/memory/heap/heap.h"
#include "cells/recover/fault/fault.h"
#include "cells/task/promise/promise.h"
#include "cells/task/scheduler/scheduler.h"
#include "cells/task/task/task.h"
#include "cells/task/wait_queue/wait_queue.h"
#include "tests/guest/fixtures/testing/testing.h"

CELL("test_promise", KERNEL, 1);

#define LIMIT_MS 300
#define LONG_NS  1500000000ull /* five times as long */
#define PAUSE_NS 50000000ull

static struct {
    struct lock lock;
    struct wait_queue queue;
} waiting;

static uint64_t faults(void)
{
    return __atomic_load_n(&arena_header()->fault_seq, __ATOMIC_RELAXED);
}

static void wait_for_ever(uint64_t)
{
    OWN(heap) uint64_t *block = heap_alloc(64);

    promise_make(LIMIT_MS);
    GUARD(lock) held = lock_take(&waiting.lock);
    for (;;)
        (void)wait_queue_wait(&waiting.queue, &held, 0);
}

static void sleep_long(uint64_t)
{
    OWN(heap) uint64_t *block = heap_alloc(64);

    promise_make(LIMIT_MS);
    scheduler_sleep_ns(UINT64_MAX);
}

static void loop_for_ever(uint64_t)
{
    OWN(heap) uint64_t *block = heap_alloc(64);

    promise_make(LIMIT_MS);
    for (;;)
        cpu_relax();
}

static enum join run(void (*entry)(uint64_t), uint64_t argument, bool restartable)
{
    struct task *task = task_spawn("promiser", entry, argument, &(struct task_options){.restartable = restartable});

    return task ? task_join(task, NULL) : JOIN_SELF;
}

/* Whether the only fault since `before` is that of this test's cell, which made no progress. */
static bool is_hang_since(uint64_t before, const char *function, bool asleep)
{
    const struct arena_fault *fault = fault_record(before + 1);

    if (faults() != before + 1 || !fault || fault->kind != FAULT_HANG || fault->outcome != FAULT_OUTCOME_RECOVERED)
        return false;
    char last = fault->message[string_length(fault->message) - 1]; /* of "ms", or of "asleep" */
    return string_equal(fault->blamed, "test_promise") && string_equal(fault->task_name, "promiser") &&
           string_equal(fault->symbol, function) && string_starts(fault->message, "no progress for ") &&
           last == (asleep ? 'p' : 's');
}

static void broken(const struct testing *test)
{
    static const struct {
        void (*entry)(uint64_t);
        const char *name;
        bool asleep;
    } breaks[] = {{wait_for_ever, "wait_for_ever", true},
                  {sleep_long, "sleep_long", true},
                  {loop_for_ever, "loop_for_ever", false}};

    for (size_t i = 0; i < array_size(breaks); i++) {
        uint64_t before = faults();
        testing_need(test, run(breaks[i].entry, 0, false) == JOIN_FAILED);
        testing_need(test, testing_await(is_hang_since(before, breaks[i].name, breaks[i].asleep)));
        testing_need(test, !waiting.lock.holder && !waiting.queue.first);
    }
}

static void keep_it(uint64_t kept)
{
    uint64_t end = cpu_ns() + LONG_NS;

    promise_make(kept ? LIMIT_MS * 4 : LIMIT_MS);
    while (kept && cpu_ns() < end) {
        scheduler_sleep_ns(PAUSE_NS);
        promise_keep();
    }
    if (!kept)
        promise_make(0);
    scheduler_sleep_ns(kept ? 1 : LONG_NS);
}

static void kept(const struct testing *test)
{
    uint64_t before = faults();

    for (uint64_t i = 0; i < 2; i++)
        testing_need(test, run(keep_it, i, false) == JOIN_ENDED);
    testing_need(test, faults() == before);
}

/* What begins again has promised nothing. */
static void break_once(uint64_t counted)
{
    uint64_t *count = (uint64_t *)counted;

    if (!(*count)++)
        sleep_long(0);
    scheduler_sleep_ns(LONG_NS);
}

static void restarted(const struct testing *test)
{
    OWN(heap) uint64_t *count = heap_alloc(sizeof *count);
    uint64_t before = faults();

    testing_need(test, count);
    *count = 0;
    testing_need(test, run(break_once, (uint64_t)count, true) == JOIN_ENDED && *count == 2 && faults() == before + 1);
}

static int test_promise_main(int, char **)
{
    struct testing test = testing_begin("test_promise");

    broken(&test);
    test = testing_begin("test_promise"); /* the stack of failures has made tables that stay */
    broken(&test);
    testing_ok(&test, "who waits for what never comes, sleeps too long or loops fails there, and holds nothing");
    kept(&test);
    testing_ok(&test, "who keeps a promise, or takes it back, does not");
    restarted(&test);
    testing_ok(&test, "a task that is restarted has promised nothing");
    testing_end(&test);
}
MAIN(test_promise_main);
