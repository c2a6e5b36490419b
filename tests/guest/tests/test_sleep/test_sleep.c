/* Sleeps are never short, not much too long, and end in order. */
#include "cells/core/cpu/cpu.h"
#include "cells/task/scheduler/scheduler.h"
#include "cells/task/task/task.h"
#include "cells/task/timer/timer.h"
#include "tests/guest/fixtures/testing/testing.h"

CELL("test_sleep", KERNEL, 1);

#define MS       1000000ull
#define LATE     50u /* ticks: on a busy host they are late themselves, but not more */
#define SLEEPERS 10

static uint32_t order[SLEEPERS], woken;
static uint64_t first_ns; /* when the first of them is to wake */

static uint64_t ticks(void) /* of CPU 0 */
{
    return __atomic_load_n(&cpu_get(0)->record->ticks, __ATOMIC_RELAXED);
}

static void lengths(const struct testing *test)
{
    static const uint16_t ms[] = {1, 10, 35, 100, 300};

    for (size_t i = 0; i < array_size(ms); i++) {
        uint64_t begin = cpu_ns(), tick = ticks();
        scheduler_sleep_ns(ms[i] * MS);
        testing_need(test, cpu_ns() - begin >= ms[i] * MS);
        testing_need(test, ticks() - tick < ms[i] * TIMER_HZ / 1000 + LATE);
    }
}

/* Neither the first nor the last to fall asleep wakes first. All run on one CPU, in the order in which they wake. */
static void sleep_entry(uint64_t index)
{
    {
        GUARD(interrupts) off = interrupts_off();
        scheduler_begin_wait(&task_this()->scheduler);
        (void)scheduler_wait(first_ns + index * 7 % SLEEPERS * 50 * MS);
    }
    order[__atomic_fetch_add(&woken, 1, __ATOMIC_RELAXED)] = (uint32_t)index;
}

/* False: on a busy host, the first was to wake before all slept. */
static bool sleep_and_wake(const struct testing *test)
{
    struct task *tasks[SLEEPERS];

    woken = 0;
    first_ns = cpu_ns() + 300 * MS;
    for (uint64_t i = 0; i < SLEEPERS; i++) {
        tasks[i] = task_spawn("sleeper", sleep_entry, i, &(struct task_options){.pinned = 1});
        testing_need(test, tasks[i]);
    }
    for (size_t i = 0; i < SLEEPERS; i++)
        testing_need(test, testing_await(tasks[i]->record->state == TASK_BLOCKED || cpu_ns() > first_ns));
    bool asleep = cpu_ns() < first_ns;
    for (size_t i = 0; i < SLEEPERS; i++)
        testing_need(test, task_join(MOVE(tasks[i]), NULL) == JOIN_ENDED);
    return asleep;
}

static void in_order(const struct testing *test)
{
    testing_need(test, testing_await(sleep_and_wake(test)));
    for (uint32_t i = 0; i < SLEEPERS; i++)
        testing_need(test, order[i] * 7 % SLEEPERS == i);
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
