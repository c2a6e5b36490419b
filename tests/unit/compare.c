/* Two campaigns side by side: which experiments are pairs, and what is chance. */
#include <check.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include "injector/compare.h"

static char dir[64], path[2][128];
static struct database *database[2];
static struct why why;

static struct database *make(const char *at, uint64_t seed)
{
    CLOSED_BY(plan_done) struct plan plan = {.count = 9, .seed = seed, .text = strdup("seed: 5\n")};
    struct database *d;

    strcpy(plan.folder, dir);
    ck_assert_msg(database_create(at, &plan, &d, &why) == ERR_OK, "%s", why.text);
    return d;
}

static void setup(void)
{
    strcpy(dir, "/tmp/delias-compare-XXXXXX");
    ck_assert_ptr_nonnull(mkdtemp(dir));
    for (int i = 0; i < 2; i++) {
        snprintf(path[i], sizeof path[i], "%s/%d.db", dir, i);
        database[i] = make(path[i], 5);
    }
}

static void teardown(void)
{
    char command[128];

    for (int i = 0; i < 2; i++)
        database_close(database[i]);
    snprintf(command, sizeof command, "rm -rf %s", dir);
    ck_assert_int_eq(system(command), 0);
}

static void add(int into, uint64_t index, const char *target, const char *place, enum outcome strict,
                enum outcome thesis)
{
    struct experiment *x = calloc(1, sizeof *x);

    ck_assert_ptr_nonnull(x);
    x->index = index;
    strcpy(x->target, target);
    x->kind = "";
    x->outcome[OUTCOME_STRICT] = strict;
    x->outcome[OUTCOME_THESIS] = thesis;
    x->injection.changes = 1;
    x->injection.change[0] = (struct change){.bytes = 1, .flip = 1};
    strcpy(x->where[0], place);
    ck_assert_msg(database_add(database[into], x, &why) == ERR_OK, "%s", why.text);
    free(x);
}

START_TEST(knows_chance)
{
    ck_assert_double_eq_tol(compare_mcnemar(0, 0), 1, 1e-9);
    ck_assert_double_eq_tol(compare_mcnemar(5, 5), 1, 1e-9);
    ck_assert_double_eq_tol(compare_mcnemar(1, 5), 14.0 / 64, 1e-9);
    ck_assert_double_eq_tol(compare_mcnemar(5, 1), 14.0 / 64, 1e-9);
    ck_assert_double_eq_tol(compare_mcnemar(0, 6), 2.0 / 64, 1e-9);
    ck_assert(compare_mcnemar(40, 400) < 1e-9);
}
END_TEST

/* Lost in both, mended, lost now, wrong now (which the thesis does not count), another place, another target, and one
 * that only one has. */
START_TEST(pairs_the_same_fault)
{
    struct comparison *c = malloc(sizeof *c);

    add(0, 0, "t", "a+1", OUTCOME_HANG, OUTCOME_HANG);
    add(1, 0, "t", "a+1", OUTCOME_CRASH, OUTCOME_CRASH);
    add(0, 1, "t", "a+1", OUTCOME_FAILED, OUTCOME_FAILED);
    add(1, 1, "t", "a+1", OUTCOME_RELOAD, OUTCOME_RELOAD);
    add(0, 2, "t", "a+1", OUTCOME_BENIGN, OUTCOME_BENIGN);
    add(1, 2, "t", "a+1", OUTCOME_HANG, OUTCOME_HANG);
    add(0, 3, "t", "a+1", OUTCOME_RESTART, OUTCOME_RESTART);
    add(1, 3, "t", "a+1", OUTCOME_WRONG, OUTCOME_BENIGN);
    add(0, 4, "t", "a+1", OUTCOME_RESTART, OUTCOME_RESTART);
    add(1, 4, "t", "a+2", OUTCOME_HANG, OUTCOME_HANG);
    add(0, 5, "t", "a+1", OUTCOME_RESTART, OUTCOME_RESTART);
    add(1, 5, "u", "a+1", OUTCOME_HANG, OUTCOME_HANG);
    add(1, 6, "t", "a+1", OUTCOME_HANG, OUTCOME_HANG);
    ck_assert_msg(compare_make(database[0], database[1], c, &why) == ERR_OK, "%s", why.text);
    ck_assert_uint_eq(c->pairs, 4);
    ck_assert_uint_eq(c->moved, 1);
    ck_assert_uint_eq(c->only_a, 1);
    ck_assert_uint_eq(c->only_b, 2);
    ck_assert_uint_eq(c->lost[OUTCOME_STRICT].both, 1);
    ck_assert_uint_eq(c->lost[OUTCOME_STRICT].only_a, 1);
    ck_assert_uint_eq(c->lost[OUTCOME_STRICT].only_b, 2);
    ck_assert_uint_eq(c->lost[OUTCOME_THESIS].only_b, 1);
    ck_assert_double_eq_tol(c->lost[OUTCOME_STRICT].p, 1, 1e-9);
    ck_assert_uint_eq(c->rows, 2);
    ck_assert_uint_eq(c->row[0].index, 2);
    ck_assert_int_eq(c->row[0].a, OUTCOME_BENIGN);
    ck_assert_int_eq(c->row[0].b, OUTCOME_HANG);
    ck_assert_uint_eq(c->row[1].index, 3);
    free(c);
}
END_TEST

START_TEST(refuses_other_faults)
{
    struct comparison *c = malloc(sizeof *c);

    database_close(database[1]);
    ck_assert_int_eq(unlink(path[1]), 0);
    database[1] = make(path[1], 6);
    ck_assert_int_eq(compare_make(database[0], database[1], c, &why), ERR_INVALID);
    ck_assert_ptr_nonnull(strstr(why.text, "seeds 5 and 6"));
    free(c);
}
END_TEST

Suite *suite_compare(void);
Suite *suite_compare(void)
{
    Suite *s = suite_create("compare");
    TCase *tc = tcase_create("compare");

    tcase_add_checked_fixture(tc, setup, teardown);
    tcase_add_test(tc, knows_chance);
    tcase_add_test(tc, pairs_the_same_fault);
    tcase_add_test(tc, refuses_other_faults);
    suite_add_tcase(s, tc);
    return s;
}
