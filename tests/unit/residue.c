/* What a recovery has left behind: counting it, comparing it, and what the database and the report say of it. */
#include <check.h>
#include <sqlite3.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include "injector/report.h"
#include "tests/unit/arena_build.h"

static char dir[64], path[128];
static struct why why;

static void setup(void)
{
    strcpy(dir, "/tmp/delias-residue-XXXXXX");
    ck_assert_ptr_nonnull(mkdtemp(dir));
    snprintf(path, sizeof path, "%s/x.db", dir);
}

static void teardown(void)
{
    char command[128];

    snprintf(command, sizeof command, "rm -rf %s", dir);
    ck_assert_int_eq(system(command), 0);
}

START_TEST(counts_what_is_in_use)
{
    uint8_t *ram = calloc(1, BUILD_RAM);
    struct residue_counts counts;

    ck_assert_ptr_nonnull(ram);
    ck_assert(!residue_count(ram, BUILD_RAM, &counts));
    build_tables(ram);
    struct arena_header *h = build_header(ram);
    h->counter[COUNTER_frames_total] = 100;
    h->counter[COUNTER_frames_free] = 40;
    h->counter[COUNTER_heap_blocks] = 7;
    h->counter[COUNTER_heap_bytes] = 700;
    h->counter[COUNTER_strings] = 9;
    for (enum arena_table t = ARENA_NAMESPACES; t <= ARENA_TASKS; t++)
        h->table[t].in_use = 20 + t;
    ck_assert(residue_count(ram, BUILD_RAM, &counts));
    const int64_t right[RESIDUE_COUNT] = {60, 7, 700, 20, 21, 22, 23, 24, 25, 26, 9};
    ck_assert_mem_eq(counts.n, right, sizeof right);
    ck_assert(!residue_count(ram, LAYOUT_ARENA_PHYS, &counts));
    free(ram);
}
END_TEST

/* What is between the least and the most that was seen is usual. Fewer is residue too: something was freed twice. */
START_TEST(compares_with_what_is_usual)
{
    struct residue_counts counts = {{10, 5, 50}}, left;
    struct residue_range usual = {0};
    char text[128];

    residue_widen(&usual, &counts);
    counts.n[RESIDUE_FRAMES] = 14;
    residue_widen(&usual, &counts);
    counts.n[RESIDUE_FRAMES] = 12;
    ck_assert(residue_is_clean(&usual, &counts, &left));
    residue_print(&left, text, sizeof text);
    ck_assert_str_eq(text, "");
    counts.n[RESIDUE_FRAMES] = 22;
    counts.n[RESIDUE_BLOCKS] = 4;
    ck_assert(!residue_is_clean(&usual, &counts, &left));
    residue_print(&left, text, sizeof text);
    ck_assert_str_eq(text, "frames 8, heap blocks -1");
    residue_print(&left, text, 7);
    ck_assert_str_eq(text, "frames");
}
END_TEST

static void add(struct database *d, uint64_t index, bool known, int64_t frames)
{
    struct experiment *x = calloc(1, sizeof *x);

    ck_assert_ptr_nonnull(x);
    x->index = index;
    strcpy(x->target, index < 4 ? "a" : "b");
    x->kind = "";
    x->outcome[OUTCOME_STRICT] = x->outcome[OUTCOME_THESIS] = known ? OUTCOME_RELOAD : OUTCOME_BENIGN;
    x->residue_known = known;
    x->residue.n[RESIDUE_FRAMES] = frames;
    ck_assert_msg(database_add(d, x, &why) == ERR_OK, "%s", why.text);
    free(x);
}

static struct database *make(void)
{
    CLOSED_BY(plan_done) struct plan plan = {.count = 9, .seed = 5, .text = strdup("seed: 5\n")};
    struct database *d;

    strcpy(plan.folder, dir);
    ck_assert_msg(database_create(path, &plan, &d, &why) == ERR_OK, "%s", why.text);
    for (uint64_t i = 0; i < 6; i++)
        add(d, i, i > 0, i == 2 || i == 3 ? 8 : i == 5 ? -1 : 0);
    return d;
}

static void check_report(struct database *d, uint64_t known, unsigned rows)
{
    struct report *r = calloc(1, sizeof *r);

    ck_assert_msg(report_make(d, r, &why) == ERR_OK, "%s", why.text);
    ck_assert_uint_eq(r->residue.known, known);
    ck_assert_uint_eq(r->residue.clean, known ? 2 : 0);
    ck_assert_uint_eq(r->residue.rows, rows);
    if (rows) {
        ck_assert_str_eq(r->residue.row[0].target, "a");
        ck_assert_str_eq(r->residue.row[0].left, "frames 8");
        ck_assert_uint_eq(r->residue.row[0].count, 2);
        ck_assert_str_eq(r->residue.row[1].left, "frames -1");
    }
    free(r);
}

START_TEST(reports_by_target)
{
    struct database *d = make();

    check_report(d, 5, 2);
    database_close(d);
    ck_assert_msg(database_open(path, DATABASE_READ, &d, &why) == ERR_OK, "%s", why.text);
    check_report(d, 5, 2);
    database_close(d);
}
END_TEST

/* Format 3 has no such column: it is read, and gets one when it is written to. */
START_TEST(brings_format_3_up_to_date)
{
    struct database *d = make();
    sqlite3 *s;

    database_close(d);
    ck_assert_int_eq(sqlite3_open(path, &s), SQLITE_OK);
    ck_assert_int_eq(sqlite3_exec(s,
                                  "ALTER TABLE experiment DROP COLUMN residue;"
                                  "UPDATE campaign SET value = '3' WHERE key = 'format'",
                                  NULL, NULL, NULL),
                     SQLITE_OK);
    sqlite3_close(s);
    ck_assert_msg(database_open(path, DATABASE_READ, &d, &why) == ERR_OK, "%s", why.text);
    check_report(d, 0, 0);
    database_close(d);
    ck_assert_msg(database_open(path, DATABASE_WRITE, &d, &why) == ERR_OK, "%s", why.text);
    check_report(d, 0, 0);
    for (uint64_t i = 6; i < 8; i++)
        add(d, i, true, 0);
    check_report(d, 2, 0);
    database_close(d);
}
END_TEST

Suite *suite_residue(void);
Suite *suite_residue(void)
{
    Suite *s = suite_create("residue");
    TCase *tc = tcase_create("residue");

    tcase_add_checked_fixture(tc, setup, teardown);
    tcase_add_test(tc, counts_what_is_in_use);
    tcase_add_test(tc, compares_with_what_is_usual);
    tcase_add_test(tc, reports_by_target);
    tcase_add_test(tc, brings_format_3_up_to_date);
    suite_add_tcase(s, tc);
    return s;
}
