/* Sleeps are never short, not much too long, and end in order. */
#include "cells/kernel/cpu/cpu.h"
#include "cells/kernel/scheduler/scheduler.h"
#include "cells/kernel/task/task.h"
#include "tests/guest/testing/testing.h"

CELL("test_sleep", KERNEL, 1);

#define MS       1000000ull
#define LATE_MS  2000 /* the emulating host may be busy */
#define SLEEPERS 10

static uint32_t order[SLEEPERS], woken;

static void lengths(const struct testing *test)
{
    static const uint16_t ms[] = {1, 10, 35, 100, 300};

    for (size_t i = 0; i < array_size(ms); i++) {
        uint64_t begin = cpu_ns();
        scheduler_sleep_ns(ms[i] * MS);
        uint64_t took = cpu_ns() - begin;
        testing_need(test, took >= ms[i] * MS);
        testing_need(test, took < (ms[i] + LATE_MS) * MS);
    }
}

static void sleep_entry(uint64_t index)
{
    scheduler_sleep_ns((SLEEPERS - index) * 100 * MS);
    order[__atomic_fetch_add(&woken, 1, __ATOMIC_RELAXED)] = (uint32_t)index;
}

static void in_order(const struct testing *test)
{
    struct task *tasks[SLEEPERS];

    woken = 0;
    for (uint64_t i = 0; i < SLEEPERS; i++) {
        tasks[i] = task_spawn("sleeper", sleep_entry, i, NULL);
        testing_need(test, tasks[i]);
    }
    for (size_t i = 0; i < SLEEPERS; i++)
        testing_need(test, task_join(MOVE(tasks[i]), NULL) == ERR_OK);
    for (uint32_t i = 0; i < SLEEPERS; i++)
        testing_need(test, order[i] == SLEEPERS - 1 - i);
}

static int test_sleep_main(int argc, char **argv)
{
    struct testing test = testing_begin("test_sleep");

    (void)argc;
    (void)argv;
    in_order(&test);
    test = testing_begin("test_sleep");
    lengths(&test);
    testing_ok(&test, "sleeps last as long as asked for");
    in_order(&test);
    testing_ok(&test, "the shortest sleep ends first");
    testing_end(&test);
}
MAIN(test_sleep_main);
