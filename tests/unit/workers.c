/* Experiments side by side: what is in the database afterwards is the same with any number of workers. */
#include <check.h>
#include <sched.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include "injector/workers.h"

enum { WORKERS = 4, COUNT = 300, FAILS = 217 };

static char dir[64], path[128];
static struct why why;
static struct database *database;
static struct plan plan;
static uint64_t seen;        /* number of the experiment that was added last, plus one */
static atomic_uint tried;    /* experiments */
static uint64_t slow, fails; /* numbers of such experiments; COUNT: none */
static volatile sig_atomic_t stop;

static void setup(void)
{
    strcpy(dir, "/tmp/delias-workers-XXXXXX");
    ck_assert_ptr_nonnull(mkdtemp(dir));
    snprintf(path, sizeof path, "%s/x.db", dir);
    plan = (struct plan){.count = COUNT, .seed = 5, .text = strdup("seed: 5\n")};
    strcpy(plan.folder, dir);
    ck_assert_msg(database_create(path, &plan, &database, &why) == ERR_OK, "%s", why.text);
    seen = 0;
    tried = 0;
    slow = fails = COUNT;
    stop = 0;
}

static void teardown(void)
{
    char command[128];

    database_close(database);
    plan_done(&plan);
    snprintf(command, sizeof command, "rm -rf %s", dir);
    ck_assert_int_eq(system(command), 0);
}

/* Every third manifests. */
static enum err try(struct rig *rig, uint64_t index, struct experiment *x, struct why *ret_why)
{
    tried++;
    ck_assert_ptr_eq(rig->whole, &plan);
    usleep(index == slow ? 50000 : (useconds_t)(index * 7919 % 400));
    if (index == fails)
        return why_set(ret_why, ERR_IO, "number %d", (int)index);
    x->index = index;
    x->kind = "";
    x->outcome[OUTCOME_STRICT] = x->outcome[OUTCOME_THESIS] = index % 3 ? OUTCOME_BENIGN : OUTCOME_RESTART;
    return ERR_OK;
}

static void note(void *context, const struct campaign_progress *p)
{
    (void)context;
    ck_assert_uint_gt(p->last->index + 1, seen);
    seen = p->last->index + 1;
    stop |= p->done == 40 && slow == 1; /* as Ctrl-C does */
}

static enum err run(unsigned workers, uint64_t until, struct campaign_progress *ret_progress)
{
    const struct campaign_watcher watcher = {
        .progress = note, .workers = workers, .until_manifested = until, .stop = &stop};

    *ret_progress = (struct campaign_progress){.count = COUNT};
    return workers_run(database, path, &plan, &watcher, try, ret_progress, &why);
}

static void has_the_first(uint64_t count)
{
    for (uint64_t i = 0; i < COUNT; i++)
        ck_assert_int_eq(database_has(database, i), i < count);
}

START_TEST(runs_all)
{
    struct campaign_progress p;

    slow = 3;
    ck_assert_int_eq(run(WORKERS, 0, &p), ERR_OK);
    ck_assert_uint_eq(p.done, COUNT);
    ck_assert_uint_eq(p.outcomes[OUTCOME_RESTART], COUNT / 3);
    ck_assert_uint_eq(tried, COUNT);
    has_the_first(COUNT);
}
END_TEST

/* Number 30 is slow, and the fifteenth that manifests is number 42: others are beyond that by then. */
START_TEST(ends_where_one_worker_would)
{
    struct campaign_progress p;

    slow = 30;
    ck_assert_int_eq(run((unsigned)_i, 15, &p), ERR_OK);
    ck_assert_uint_eq(p.done, 43);
    has_the_first(43);
}
END_TEST

/* All of those that manifest are recovered: the interval of 21 is 1 to 0.8454, of 20 it is wider than that. */
START_TEST(ends_when_the_interval_is_narrow)
{
    struct campaign_progress p;

    plan.until_half_width = 0.0775;
    ck_assert_int_eq(run(WORKERS, 0, &p), ERR_OK);
    ck_assert_uint_eq(p.outcomes[OUTCOME_RESTART], 21);
    ck_assert_uint_eq(p.done, 61);
    has_the_first(61);
}
END_TEST

START_TEST(keeps_what_came_before_a_failure)
{
    struct campaign_progress p;

    fails = FAILS;
    slow = FAILS - 1;
    ck_assert_int_eq(run(WORKERS, 0, &p), ERR_IO);
    ck_assert_str_eq(why.text, "number 217");
    has_the_first(FAILS);
    fails = COUNT;
    tried = 0;
    ck_assert_int_eq(run(WORKERS, 0, &p), ERR_OK);
    ck_assert_uint_eq(tried, COUNT - FAILS);
    has_the_first(COUNT);
}
END_TEST

START_TEST(stops_when_told)
{
    struct campaign_progress p;

    slow = 1;
    ck_assert_int_eq(run(WORKERS, 0, &p), ERR_OK);
    ck_assert_uint_ge(p.done, 40);
    ck_assert_uint_lt(p.done, COUNT);
    ck_assert_uint_eq(tried, p.done); /* none was for nothing */
    has_the_first(p.done);
}
END_TEST

/* With moments that are the host's, one machine would move the injections into another. */
START_TEST(only_exact_campaigns_have_several)
{
    cpu_set_t cpus;

    ck_assert_int_eq(sched_getaffinity(0, sizeof cpus, &cpus), 0);
    ck_assert_uint_eq(campaign_workers(&plan), 1);
    plan.exact = true;
    ck_assert_uint_eq(campaign_workers(&plan), (unsigned)CPU_COUNT(&cpus));
}
END_TEST

Suite *suite_workers(void);
Suite *suite_workers(void)
{
    Suite *s = suite_create("workers");
    TCase *tc = tcase_create("workers");

    tcase_add_checked_fixture(tc, setup, teardown);
    tcase_add_test(tc, runs_all);
    tcase_add_loop_test(tc, ends_where_one_worker_would, 1, WORKERS + 1);
    tcase_add_test(tc, ends_when_the_interval_is_narrow);
    tcase_add_test(tc, keeps_what_came_before_a_failure);
    tcase_add_test(tc, stops_when_told);
    tcase_add_test(tc, only_exact_campaigns_have_several);
    suite_add_tcase(s, tc);
    return s;
}
