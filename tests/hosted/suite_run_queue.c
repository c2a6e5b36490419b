/* The run queue cell: turns, pins, stealing, and tasks whose stack is still in use. */
#include "cells/core/cpu/cpu.h"
#include "cells/task/run_queue/run_queue.h"
#include "cells/task/task/task.h"
#include "tests/hosted/stand_in.h"
#include <check.h>

Suite *suite_hosted_run_queue(void);

static struct task tasks[8];

/* Takes and lets go at once, as if it had run and left its stack. */
static struct task *take(unsigned cpu)
{
    struct task *task = run_queue_take(cpu, NULL);

    if (task)
        task->on_cpu = 0;
    return task;
}

static void open_two(void)
{
    stand_in_start();
    run_queue_open(0);
    run_queue_open(1);
}

START_TEST(first_in_first_out)
{
    for (int i = 0; i < 8; i++)
        run_queue_put(0, &tasks[i]);
    ck_assert_uint_eq(run_queue_length(0), 8);
    for (int i = 0; i < 8; i++)
        ck_assert_ptr_eq(take(0), &tasks[i]);
    ck_assert_ptr_null(take(0));
    ck_assert_uint_eq(run_queue_length(0), 0);
}
END_TEST

START_TEST(an_idle_cpu_is_told_and_steals)
{
    ck_assert(!run_queue_put(0, &tasks[0])); /* busy until it finds nothing */
    ck_assert_ptr_eq(take(1), &tasks[0]);
    ck_assert_ptr_null(take(0));
    ck_assert(run_queue_put(0, &tasks[0]));
    ck_assert_ptr_eq(take(0), &tasks[0]);
    ck_assert(!run_queue_put(0, &tasks[0]));
}
END_TEST

START_TEST(pinned_tasks_stay)
{
    tasks[0].pinned = 1;
    ck_assert_uint_eq(run_queue_place(&tasks[0]), 0);
    run_queue_put(0, &tasks[0]);
    run_queue_put(0, &tasks[1]);
    ck_assert_ptr_eq(take(1), &tasks[1]);
    ck_assert_ptr_null(take(1));
    ck_assert_ptr_eq(take(0), &tasks[0]);
}
END_TEST

START_TEST(a_stack_in_use_is_passed_over)
{
    tasks[0].on_cpu = 1;
    run_queue_put(0, &tasks[0]);
    run_queue_put(0, &tasks[1]);
    ck_assert_ptr_eq(take(1), &tasks[1]);
    ck_assert_ptr_null(take(1));
    ck_assert_ptr_eq(run_queue_take(0, &tasks[0]), &tasks[0]); /* its own CPU may go on with it */
    run_queue_put(0, &tasks[0]);
    tasks[0].on_cpu = 0;
    ck_assert_ptr_eq(take(1), &tasks[0]);
}
END_TEST

START_TEST(taking_from_the_middle_keeps_the_end)
{
    tasks[0].on_cpu = tasks[2].on_cpu = 1;
    for (int i = 0; i < 3; i++)
        run_queue_put(0, &tasks[i]);
    ck_assert_ptr_eq(take(0), &tasks[1]);
    tasks[2].on_cpu = 0;
    ck_assert_ptr_eq(take(0), &tasks[2]);
    run_queue_put(0, &tasks[3]);
    ck_assert_ptr_eq(take(0), &tasks[3]);
    tasks[0].on_cpu = 0;
    ck_assert_ptr_eq(take(0), &tasks[0]);
    ck_assert_ptr_null(take(0));
}
END_TEST

START_TEST(a_queued_task_is_not_queued_again)
{
    for (unsigned cpu = 0; cpu < 2; cpu++) {
        run_queue_put(0, &tasks[0]);
        ck_assert(!run_queue_put(cpu, &tasks[0]));
        ck_assert_uint_eq(run_queue_length(0) + run_queue_length(1), 1);
        ck_assert_ptr_eq(take(0), &tasks[0]);
        ck_assert_ptr_null(take(0));
    }
}
END_TEST

START_TEST(placed_where_least_is_to_do)
{
    tasks[0].run_queue.cpu = 0;
    ck_assert_uint_eq(run_queue_place(&tasks[0]), 0); /* as much on both: where it was */
    run_queue_put(0, &tasks[1]);
    ck_assert_uint_eq(run_queue_place(&tasks[0]), 1);
    tasks[0].run_queue.cpu = 5; /* not open */
    ck_assert_uint_eq(run_queue_place(&tasks[0]), 1);
}
END_TEST

Suite *suite_hosted_run_queue(void)
{
    Suite *s = suite_create("hosted run_queue");
    TCase *tc = tcase_create("run_queue");

    tcase_add_checked_fixture(tc, open_two, NULL);
    tcase_add_test(tc, first_in_first_out);
    tcase_add_test(tc, an_idle_cpu_is_told_and_steals);
    tcase_add_test(tc, pinned_tasks_stay);
    tcase_add_test(tc, a_stack_in_use_is_passed_over);
    tcase_add_test(tc, taking_from_the_middle_keeps_the_end);
    tcase_add_test(tc, a_queued_task_is_not_queued_again);
    tcase_add_test(tc, placed_where_least_is_to_do);
    suite_add_tcase(s, tc);
    return s;
}
