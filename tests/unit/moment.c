/* Campaigns that inject while the guest does something else: their files and rows, the moments, what is asked for. */
#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include "injector/moment.h"
#include "injector/report.h"
#include "tests/unit/arena_build.h"

static char dir[64], path[128];
static struct why why;
static uint8_t *ram;

static void write_file(const char *name, const char *text)
{
    snprintf(path, sizeof path, "%s/%s", dir, name);
    FILE *f = fopen(path, "w");
    ck_assert_ptr_nonnull(f);
    fputs(text, f);
    fclose(f);
}

static void setup(void)
{
    strcpy(dir, "/tmp/delias-moment-XXXXXX");
    ck_assert_ptr_nonnull(mkdtemp(dir));
    write_file("kernel", "");
    write_file("archive", "");
    write_file("object", "new");
    write_file("exact.yaml", "kernel: kernel\narchive: archive\nicount: yes\ncpus: 1\n");
    write_file("machine.yaml", "kernel: kernel\narchive: archive\n");
    ram = build_ram();
}

static void teardown(void)
{
    static const char *const names[] = {"kernel", "archive", "object", "exact.yaml", "machine.yaml", "x.db"};

    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        snprintf(path, sizeof path, "%s/%s", dir, names[i]);
        unlink(path);
    }
    ck_assert_int_eq(rmdir(dir), 0);
    free(ram);
}

#define FILE_OF(model) "machine: exact.yaml\ntargets: [here]\nmodel: " model "\ncount: 9\nseed: 5\nexact: yes\n"
#define RECOVERY       "during: recovery\nmoments: [unwind.unwind_task, audit_all]\nfirst: [\"symbol:f+0+2\", random]\n"

START_TEST(reads_what_the_guest_does)
{
    struct plan plan;

    ck_assert_msg(plan_parse("x", FILE_OF("trap") RECOVERY "moment_steps: 7\nfirst_model: flip\n", dir, NULL, NULL,
                             &plan, &why) == ERR_OK,
                  "%s", why.text);
    ck_assert_int_eq(plan.moment.during, DURING_RECOVERY);
    ck_assert_uint_eq(plan.moment.functions, 2);
    ck_assert_int_eq(plan.moment.function[0].place.kind, PLACE_SYMBOL);
    ck_assert_str_eq(plan.moment.function[0].place.name, "unwind.unwind_task");
    ck_assert_uint_eq(plan.moment.steps, 7);
    ck_assert_uint_eq(plan.moment.firsts, 2);
    ck_assert_str_eq(plan.moment.first_model.model->name, "flip");
    ck_assert(plan.target[0].here);
    plan_done(&plan);
    ck_assert_int_eq(plan_parse("x", FILE_OF("trap") RECOVERY, dir, NULL, NULL, &plan, &why), ERR_OK);
    ck_assert_str_eq(plan.moment.first_model.model->name, "trap");
    plan_done(&plan);
    ck_assert_int_eq(
        plan_parse("x", FILE_OF("flip") "during: swap alpha=object\nmoments: [f]\n", dir, NULL, NULL, &plan, &why),
        ERR_OK);
    ck_assert_int_eq(plan.moment.during, DURING_SWAP);
    ck_assert_str_eq(plan.moment.cell, "alpha");
    snprintf(path, sizeof path, "%s/object", dir);
    ck_assert_str_eq(plan.moment.object, path);
    plan_done(&plan);
    ck_assert_int_eq(
        plan_parse("x", FILE_OF("flip") "during: reload alpha\nmoments: [f]\n", dir, NULL, NULL, &plan, &why), ERR_OK);
    ck_assert_int_eq(plan.moment.during, DURING_RELOAD);
    plan_done(&plan);
}
END_TEST

static const struct {
    const char *text, *message;
} bad_files[] = {
    {FILE_OF("trap"), "line 2: targets: target 'here'"},
    {FILE_OF("trap") "during: sleep\nmoments: [f]\n", "line 7: during: is none of recovery, swap"},
    {FILE_OF("trap") "during: swap alpha\nmoments: [f]\n", "line 7: during: is none of recovery, swap"},
    {FILE_OF("trap") "during: swap =object\nmoments: [f]\n", "line 7: during: is none of recovery, swap"},
    {FILE_OF("trap") "during: reload alpha=object\nmoments: [f]\n", "line 7: during: is none of recovery, swap"},
    {FILE_OF("trap") "during: recovery\nfirst: [random]\n", "moments: is missing"},
    {FILE_OF("trap") "during: recovery\nmoments: [f]\n", "first: is missing"},
    {FILE_OF("trap") "during: reload alpha\nmoments: [f]\nfirst: [random]\n", "line 9: first: needs during: recovery"},
    {"machine: exact.yaml\ntargets: [random]\nmodel: flip\ncount: 9\nseed: 5\nmoments: [f]\n",
     "line 6: moments: needs the key during"},
    {FILE_OF("trap") RECOVERY "moment_steps: 20001\n", "moment_steps: '20001'"},
    {FILE_OF("trap") RECOVERY "first_model: skip\n", "line 10: first_model: skip is no first fault"},
    {"machine: exact.yaml\ntargets: [here]\nmodel: stuck0\ncount: 9\nseed: 5\n" RECOVERY,
     "during: is not for a model that is held"},
    {"machine: exact.yaml\ntargets: [heap, register:rax]\nmodel: trap\ncount: 9\nseed: 5\n",
     "line 2: targets: no model of the campaign is for registers"},
    {"machine: machine.yaml\ntargets: [register:rax]\nmodel: flip\ncount: 9\nseed: 5\n",
     "line 2: targets: needs cpus: 1"},
    {"machine: exact.yaml\ntargets: [here]\nmodel: flip\ncount: 9\nseed: 5\nduring: recovery\nmoments: [f]\n"
     "first: [register:rax]\n",
     "first: a register is no first fault"},
};

START_TEST(refuses_files)
{
    struct plan plan;

    ck_assert_int_ne(plan_parse("x", bad_files[_i].text, dir, NULL, NULL, &plan, &why), ERR_OK);
    ck_assert_msg(strstr(why.text, bad_files[_i].message) != NULL, "not '%s': %s", bad_files[_i].message, why.text);
}
END_TEST

/* An experiment of a moment in `function`; NULL: it did not come. */
static void add(struct database *d, uint64_t index, const char *function, enum outcome outcome)
{
    struct experiment *x = calloc(1, sizeof *x);

    ck_assert_ptr_nonnull(x);
    x->index = index;
    strcpy(x->target, "here");
    strcpy(x->model_words, "trap");
    ck_assert_int_eq(model_parse("trap", &x->model, &why), ERR_OK);
    x->outcome[OUTCOME_STRICT] = x->outcome[OUTCOME_THESIS] = outcome;
    strcpy(x->moment.function, function ? function : "f");
    x->moment.came = function;
    x->moment.steps = 11;
    strcpy(x->moment.place, "unwind:.text.f+0x3");
    x->moment.first.changes = 1;
    x->moment.first.change[0] = (struct change){.phys = 0x2000, .bytes = 1, .keep = UINT64_MAX, .flip = 8};
    strcpy(x->moment.first_where[0], "a:.text.g+0x1");
    ck_assert_msg(database_add(d, x, &why) == ERR_OK, "%s", why.text);
    free(x);
}

static struct database *create(void)
{
    struct plan plan;
    struct database *d;

    ck_assert_msg(plan_parse("x", FILE_OF("trap") RECOVERY, dir, NULL, NULL, &plan, &why) == ERR_OK, "%s", why.text);
    snprintf(path, sizeof path, "%s/x.db", dir);
    ck_assert_int_eq(database_create(path, &plan, &d, &why), ERR_OK);
    plan_done(&plan);
    return d;
}

START_TEST(keeps_moments)
{
    struct experiment *x = malloc(sizeof *x);
    struct database *d = create();

    add(d, 4, "f", OUTCOME_RELOAD);
    add(d, 5, NULL, OUTCOME_RESTART);
    ck_assert_msg(database_get(d, 4, x, &why) == ERR_OK, "%s", why.text);
    ck_assert_str_eq(x->moment.function, "f");
    ck_assert_uint_eq(x->moment.steps, 11);
    ck_assert(x->moment.came);
    ck_assert_str_eq(x->moment.place, "unwind:.text.f+0x3");
    ck_assert_uint_eq(x->moment.first.changes, 1);
    ck_assert_uint_eq(x->moment.first.change[0].phys, 0x2000);
    ck_assert_uint_eq(x->moment.first.change[0].flip, 8);
    ck_assert_str_eq(x->moment.first_where[0], "a:.text.g+0x1");
    ck_assert_uint_eq(x->injection.changes, 0);
    ck_assert_int_eq(database_get(d, 5, x, &why), ERR_OK);
    ck_assert(!x->moment.came);
    database_close(d);
    free(x);
}
END_TEST

START_TEST(adds_up_by_moment)
{
    struct report *r = malloc(sizeof *r);
    struct database *d = create();

    add(d, 0, "f", OUTCOME_RESTART);
    add(d, 1, "g", OUTCOME_RELOAD);
    add(d, 2, "g", OUTCOME_CRASH);
    add(d, 3, "g", OUTCOME_BENIGN);
    add(d, 4, NULL, OUTCOME_RESTART);
    ck_assert_msg(report_make(d, r, &why) == ERR_OK, "%s", why.text);
    ck_assert_uint_eq(r->moments.moments, 2);
    ck_assert_str_eq(r->moments.moment[1].function, "g");
    ck_assert_uint_eq(r->moments.moment[1].count[OUTCOME_CRASH], 1);
    ck_assert_uint_eq(r->moments.moment[1].count[OUTCOME_RESTART], 0);
    ck_assert_uint_eq(r->moments.missed, 1);
    ck_assert_uint_eq(r->moments.rate.manifested, 3);
    ck_assert_uint_eq(r->moments.rate.recovered, 2);
    ck_assert_double_eq_tol(r->moments.rate.rate, 2.0 / 3, 1e-9);
    ck_assert_uint_eq(r->rate[OUTCOME_STRICT].manifested, 4);
    database_close(d);
    free(r);
}
END_TEST

/* ---- in a guest ---- */

static void answer(uint64_t seq, enum err error)
{
    struct arena_completion *c = build_record(
        ram, ARENA_COMPLETIONS, arena_ring_index(seq, build_header(ram)->table[ARENA_COMPLETIONS].capacity));

    c->error = error;
    c->seq = seq;
    build_header(ram)->completion_seq = seq;
}

/* Twice: the first may fail, as it was taken back. If the second one fails too, a third time, which must not. */
START_TEST(asks_again)
{
    struct plan_moment m = {.during = DURING_SWAP, .cell = "alpha"};
    const struct inject_target target = {.ram = ram, .bytes = BUILD_RAM};
    struct moment_request r = {0};

    ck_assert(moment_is_answered(&target, &m, true, &r));
    ck_assert(moment_was_served(&r));
    snprintf(m.object, sizeof m.object, "%s/object", dir);
    ck_assert_msg(moment_ask(&target, &m, &r, &why) == ERR_OK, "%s", why.text);
    ck_assert_mem_eq(build_record(ram, ARENA_MAILBOX, 0), "new", 3);
    ck_assert(!moment_is_answered(&target, &m, true, &r));
    ck_assert(!moment_was_served(&r));
    uint64_t first = r.seq;
    answer(first, ERR_INIT_FAILED);
    ck_assert(!moment_is_answered(&target, &m, false, &r));
    ck_assert_uint_eq(r.asked, 1);
    ck_assert(!moment_is_answered(&target, &m, true, &r));
    ck_assert_uint_eq(r.seq, first + 1);
    answer(r.seq, _i ? ERR_BUSY : ERR_OK);
    if (_i) {
        ck_assert(!moment_is_answered(&target, &m, false, &r) && !moment_was_served(&r));
        ck_assert(!moment_is_answered(&target, &m, true, &r));
        ck_assert_uint_eq(r.seq, first + 2);
        answer(r.seq, _i > 1 ? ERR_BUSY : ERR_OK);
    }
    ck_assert(moment_is_answered(&target, &m, true, &r));
    ck_assert_uint_eq(r.asked, _i ? 3 : 2);
    ck_assert(moment_was_served(&r) == (_i < 2));
}
END_TEST

START_TEST(says_what_cannot_be_asked)
{
    struct plan_moment m = {.during = DURING_SWAP, .cell = "alpha", .object = "/nonexistent"};
    const struct inject_target target = {.ram = ram, .bytes = BUILD_RAM};
    struct moment_request r = {0};

    ck_assert_int_ne(moment_ask(&target, &m, &r, &why), ERR_OK);
    ck_assert_ptr_nonnull(strstr(why.text, "object /nonexistent"));
    ck_assert_uint_eq(r.asked, 0);
}
END_TEST

/* The call in alpha's text: five bytes. */
START_TEST(changes_the_instruction_here)
{
    enum err e;
    struct view *view = view_take(ram, BUILD_RAM, &e);
    struct prng prng = prng_for(1, _i);
    struct injection injection = {0};
    struct model_use use;
    uint64_t at = BUILD_ALPHA_VIRT + BUILD_CALL - 1;
    char place[160];

    ck_assert_ptr_nonnull(view);
    ck_assert_int_eq(model_parse("flip", &use, &why), ERR_OK);
    ck_assert_int_eq(moment_plan_here(view, at, &use, &prng, &injection), ERR_OK);
    ck_assert_uint_eq(injection.changes, 1);
    ck_assert_uint_ge(injection.change[0].phys, BUILD_ALPHA_PHYS + BUILD_CALL - 1);
    ck_assert_uint_lt(injection.change[0].phys, BUILD_ALPHA_PHYS + BUILD_CALL + 4);
    ck_assert_int_eq(model_parse("trap", &use, &why), ERR_OK);
    ck_assert_int_eq(moment_plan_here(view, at, &use, &prng, &injection), ERR_OK);
    ck_assert_uint_eq(injection.change[0].phys, BUILD_ALPHA_PHYS + BUILD_CALL - 1);
    ck_assert_uint_eq(injection.change[0].bytes, 2);
    ck_assert_int_eq(moment_plan_here(view, 0x1000, &use, &prng, &injection), ERR_NOT_FOUND);
    moment_place(view, at, place, sizeof place);
    ck_assert_str_eq(place, "alpha:.text.alpha_run+0x4");
    moment_place(view, 0x1000, place, sizeof place);
    ck_assert_str_eq(place, "0x1000");
    view_free(view);
}
END_TEST

Suite *suite_moment(void);
Suite *suite_moment(void)
{
    Suite *s = suite_create("moment");
    TCase *tc = tcase_create("moment");

    tcase_add_checked_fixture(tc, setup, teardown);
    tcase_add_test(tc, reads_what_the_guest_does);
    tcase_add_loop_test(tc, refuses_files, 0, sizeof bad_files / sizeof *bad_files);
    tcase_add_test(tc, keeps_moments);
    tcase_add_test(tc, adds_up_by_moment);
    tcase_add_loop_test(tc, asks_again, 0, 3);
    tcase_add_test(tc, says_what_cannot_be_asked);
    tcase_add_loop_test(tc, changes_the_instruction_here, 0, 8);
    suite_add_tcase(s, tc);
    return s;
}
