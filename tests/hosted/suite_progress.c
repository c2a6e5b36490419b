/* The workload's time: that of the CPU that has had the fewest ticks, whatever clocks say. */
#include "cells/app/workload/progress.h"
#include "cells/core/arena/arena.h"
#include "tests/hosted/stand_in.h"
#include <check.h>

Suite *suite_hosted_progress(void);

enum { TICK_MS = 10 };

static void setup(void)
{
    stand_in_start();
    ck_assert_msg(stand_in_boot("build/delias.elf", "build/cells.archive"), "%s", stand_in.printed);
}

/* CPU `index` from 1 on, with so many ticks. */
static void add_cpu(uint32_t index, uint64_t ticks)
{
    GUARD(arena) held = arena_change();

    ck_assert_uint_eq(arena_new(ARENA_CPUS), index);
    arena_cpu(index)->online = 1;
    arena_cpu(index)->ticks = ticks;
}

static uint64_t passed_ms(const struct progress *progress)
{
    return progress_ns(progress) / 1000000;
}

START_TEST(a_clock_alone_is_no_progress)
{
    struct progress progress;

    add_cpu(1, 1000);
    progress_begin(&progress);
    ck_assert_uint_eq(passed_ms(&progress), 0);
    arena_cpu(1)->ticks += 7;
    ck_assert_uint_eq(passed_ms(&progress), 7 * TICK_MS);
}
END_TEST

START_TEST(the_slowest_cpu_counts)
{
    struct progress progress;

    add_cpu(1, 1000), add_cpu(2, 30);
    progress_begin(&progress);
    arena_cpu(1)->ticks += 30; /* the host runs one of two */
    ck_assert_uint_eq(passed_ms(&progress), 0);
    arena_cpu(2)->ticks += 20;
    ck_assert_uint_eq(passed_ms(&progress), 20 * TICK_MS);
    arena_cpu(2)->online = 0;
    ck_assert_uint_eq(passed_ms(&progress), 30 * TICK_MS);
}
END_TEST

START_TEST(a_halted_cpu_stops_nobody)
{
    struct progress progress;

    add_cpu(1, 0), add_cpu(2, 0);
    progress_begin(&progress);
    arena_cpu(1)->ticks += 3200;
    ck_assert_uint_eq(passed_ms(&progress), 100 * TICK_MS);
}
END_TEST

START_TEST(nobody_has_a_record)
{
    struct progress progress;

    progress_begin(&progress);
    ck_assert_uint_eq(progress_ns(&progress), 0);
}
END_TEST

Suite *suite_hosted_progress(void)
{
    Suite *suite = suite_create("hosted progress");
    TCase *tests = tcase_create("progress");

    tcase_add_checked_fixture(tests, setup, NULL);
    tcase_add_test(tests, a_clock_alone_is_no_progress);
    tcase_add_test(tests, the_slowest_cpu_counts);
    tcase_add_test(tests, a_halted_cpu_stops_nobody);
    tcase_add_test(tests, nobody_has_a_record);
    suite_add_tcase(suite, tests);
    return suite;
}
