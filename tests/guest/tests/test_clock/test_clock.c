/* The guest's clock and its ticks agree with the real-time clock. Where instructions are counted, both are exact. */
#include "cells/core/arena/arena.h"
#include "cells/core/cpu/cpu.h"
#include "cells/task/scheduler/scheduler.h"
#include "cells/task/timer/timer.h"
#include "tests/guest/fixtures/testing/testing.h"

CELL("test_clock", KERNEL, 1);

#define SECONDS_TAKEN 3
#define SECOND_NS     1000000000ull
#define POLL_NS       2000000ull
#define CMOS_INDEX    0x70
#define CMOS_VALUE    0x71

static uint8_t rtc_second(void)
{
    GUARD(interrupts) off = interrupts_off();

    cpu_out8(CMOS_INDEX, 0);
    return cpu_in8(CMOS_VALUE);
}

/* Waits for the next second of the real-time clock to begin. */
static void await_second(void)
{
    uint8_t before = rtc_second();

    while (rtc_second() == before)
        scheduler_sleep_ns(POLL_NS);
}

static bool is_near(uint64_t value, uint64_t expected)
{
    return value >= expected - expected / 20 && value <= expected + expected / 20;
}

/* Of all CPUs. */
static uint64_t ticks(void)
{
    return __atomic_load_n(&arena_header()->counter[COUNTER_ticks], __ATOMIC_RELAXED);
}

static void seconds_are_seconds(const struct testing *test)
{
    await_second();
    uint64_t begin = cpu_ns(), ticked = ticks();
    for (unsigned i = 0; i < SECONDS_TAKEN; i++)
        await_second();
    testing_need(test, is_near(cpu_ns() - begin, SECONDS_TAKEN * SECOND_NS));
    testing_need(test, is_near(ticks() - ticked, SECONDS_TAKEN * TIMER_HZ * cpu_count()));
}

static void delays_are_as_long_as_asked_for(const struct testing *test)
{
    static const unsigned us[] = {10, 1000, 30000};

    for (size_t i = 0; i < array_size(us); i++) {
        GUARD(preempt) here = scheduler_stay();
        uint64_t begin = cpu_ns();
        timer_delay_us(us[i]);
        uint64_t took = cpu_ns() - begin;
        testing_need(test, took >= us[i] * 1000ull && took < us[i] * 2000ull + 1000000);
    }
}

static int test_clock_main(int, char **)
{
    struct testing test = testing_begin("test_clock");

    seconds_are_seconds(&test);
    testing_ok(&test, "a second of the clock is one of the real-time clock, and has its ticks");
    delays_are_as_long_as_asked_for(&test);
    testing_ok(&test, "delays are as long as asked for");
    testing_end(&test);
}
MAIN(test_clock_main);
