/* Campaign files, databases and reports, without a machine. */
#include <check.h>
#include <errno.h>
#include <signal.h>
#include <sqlite3.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>
#include "injector/campaign.h"
#include "injector/report.h"
#include "injector/tables.h"
#include "injector/targets.h"

static char dir[64], db_path[128];
static struct why why;

static void write_file(const char *name, const char *text)
{
    char path[128];

    snprintf(path, sizeof path, "%s/%s", dir, name);
    FILE *f = fopen(path, "w");
    ck_assert_ptr_nonnull(f);
    fputs(text, f);
    fclose(f);
}

static void setup(void)
{
    strcpy(dir, "/tmp/delias-campaign-XXXXXX");
    ck_assert_ptr_nonnull(mkdtemp(dir));
    snprintf(db_path, sizeof db_path, "%s/x.db", dir);
    write_file("kernel", "");
    write_file("archive", "");
    write_file("machine.yaml", "kernel: kernel\narchive: archive\n");
    write_file("exact.yaml", "kernel: kernel\narchive: archive\nicount: yes\ncpus: 1\n");
    write_file("icount.yaml", "kernel: kernel\narchive: archive\nicount: yes\ncpus: 2\n");
    write_file("bad.yaml", "kernel: kernel\narchive: archive\ncpus: 0\n");
}

static void teardown(void)
{
    char command[128];

    snprintf(command, sizeof command, "rm -rf %s", dir);
    ck_assert_int_eq(system(command), 0);
}

#define GOOD "machine: machine.yaml\ntargets: [\"cell:a:.text\", random]\nmodel: flips:2\ncount: 9\nseed: 5\n"

/* An exact machine, or not quite. */
#define EXACT(machine, model) "machine: " machine ".yaml\ntargets: [random]\nmodel: " model "\ncount: 9\nseed: 5\n"

static enum err load(const char *text, struct plan *ret_plan)
{
    char path[128];

    write_file("x.yaml", text);
    snprintf(path, sizeof path, "%s/x.yaml", dir);
    return plan_load(path, ret_plan, &why);
}

START_TEST(reads_a_file)
{
    struct plan plan;

    ck_assert_msg(load(GOOD "accel: tcg\ntimeout_ms: 77\n", &plan) == ERR_OK, "%s", why.text);
    ck_assert_uint_eq(plan.targets, 2);
    ck_assert_str_eq(plan.target[0].words, "cell:a:.text");
    ck_assert_int_eq(plan.target[1].place.kind, PLACE_RANDOM);
    ck_assert_uint_eq(plan.model[0].use.count, 2);
    ck_assert_uint_eq(plan.count, 9);
    ck_assert_uint_eq(plan.seed, 5);
    ck_assert_uint_eq(plan.timeout_ms, 77);
    ck_assert_uint_eq(plan.rounds, 3);
    ck_assert_int_eq(plan.machine.backend, MACHINE_TCG);
    plan_done(&plan);
}
END_TEST

START_TEST(reads_a_workload)
{
    struct plan plan;

    ck_assert_msg(load(GOOD, &plan) == ERR_OK, "%s", why.text);
    ck_assert_uint_eq(plan.workload, WORKLOAD_DEFAULT);
    ck_assert_ptr_null(strstr(plan.machine.cmdline, "workload"));
    plan_done(&plan);
    ck_assert_msg(load(GOOD "workload: [graphics, channel]\n", &plan) == ERR_OK, "%s", why.text);
    ck_assert_uint_eq(plan.workload, 1u << PART_PAINTER | 1u << PART_PRODUCER | 1u << PART_CONSUMER);
    ck_assert_ptr_nonnull(strstr(plan.machine.cmdline, " workload=graphics,channel"));
    plan_done(&plan);
    write_file("machine.yaml", "kernel: kernel\narchive: archive\ncmdline: x=1 workload=open,read y=2\n");
    ck_assert_msg(load(GOOD, &plan) == ERR_OK, "%s", why.text);
    ck_assert_uint_eq(plan.workload, 1u << PART_OPENER | 1u << PART_READER);
    plan_done(&plan);
    ck_assert_int_eq(load(GOOD "workload: [read]\n", &plan), ERR_INVALID);
    ck_assert_ptr_nonnull(strstr(why.text, "line 6: workload: is on the machine's command line too"));
    write_file("machine.yaml", "kernel: kernel\narchive: archive\ncmdline: workload=open,readers\n");
    ck_assert_int_eq(load(GOOD, &plan), ERR_INVALID);
    ck_assert_ptr_nonnull(strstr(why.text, "workload=open,readers"));
}
END_TEST

START_TEST(reads_an_exact_file)
{
    struct plan plan;

    ck_assert_msg(load(EXACT("exact", "flip") "exact: yes\njitter_switches: 40\n", &plan) == ERR_OK, "%s", why.text);
    ck_assert(plan.exact);
    ck_assert_uint_eq(plan.jitter_switches, 40);
    plan_done(&plan);
    ck_assert_msg(load(GOOD, &plan) == ERR_OK, "%s", why.text);
    ck_assert(!plan.exact);
    plan_done(&plan);
    ck_assert_msg(load("machine: machine.yaml\ntargets: [random]\nmodel: flip\nseed: 5\nuntil_half_width: 0.5\n",
                       &plan) == ERR_OK,
                  "%s", why.text);
    ck_assert(plan.until_half_width == 0.005);
    plan_done(&plan);
}
END_TEST

START_TEST(weighs_models)
{
    struct plan plan;
    unsigned drawn[2] = {0};

    ck_assert_msg(load("machine: machine.yaml\ntargets: [random]\nmodels: [flip, zero]\nmodel_weights: [3, 1]\n"
                       "count: 9\nseed: 5\n",
                       &plan) == ERR_OK,
                  "%s", why.text);
    ck_assert_uint_eq(plan.weights, 4);
    for (unsigned i = 0; i < plan.weights; i++)
        drawn[plan_model(&plan, i)]++;
    ck_assert_uint_eq(drawn[0], 3);
    ck_assert_uint_eq(drawn[1], 1);
    plan_done(&plan);
    ck_assert_msg(load("machine: machine.yaml\ntargets: [random]\nmodels: [flip, zero]\ncount: 9\nseed: 5\n", &plan) ==
                      ERR_OK,
                  "%s", why.text);
    for (unsigned i = 0; i < 2; i++)
        ck_assert_uint_eq(plan_model(&plan, i), i);
    plan_done(&plan);
}
END_TEST

#define PART(machine) EXACT(machine, "flip") "workload: [graphics]\n"

START_TEST(reads_a_campaign_of_others)
{
    struct plan plan, again;
    struct database *d;

    write_file("a.yaml", PART("exact"));
    write_file("b.yaml", "machine: machine.yaml\ntargets: [heap]\nmodels: [flip, skip]\ncount: 3\nseed: 5\n");
    ck_assert_msg(load("parts: [a.yaml, b.yaml]\nuntil_manifested: 7\nseed: 1\n", &plan) == ERR_OK, "%s", why.text);
    ck_assert_uint_eq(plan.parts, 2);
    ck_assert_uint_eq(plan.until_manifested, 7);
    ck_assert(plan.until_half_width == 0);
    ck_assert_uint_eq(plan.seed, 1);
    ck_assert_uint_eq(plan.part[1].models, 2);
    ck_assert_str_eq(plan.part[1].model[1].words, "skip");
    ck_assert_str_eq(plan.part[1].model_words, "flip, skip");
    ck_assert_str_eq(plan.part[1].file, "b.yaml");
    ck_assert_ptr_eq(plan_part(&plan, 0), &plan.part[0]);
    ck_assert_ptr_eq(plan_part(&plan, 50), &plan.part[1]);
    ck_assert_ptr_eq(plan_part(&plan, 101), &plan.part[0]);
    plan_done(&plan);
    ck_assert_msg(load("parts: [a.yaml, b.yaml]\ncount: 9\nseed: 1\nin_a_row: 3\n", &plan) == ERR_OK, "%s", why.text);
    ck_assert_ptr_eq(plan_part(&plan, 2), &plan.part[0]);
    ck_assert_ptr_eq(plan_part(&plan, 3), &plan.part[1]);
    ck_assert_ptr_eq(plan_part(&plan, 6), &plan.part[0]);
    /* The database has all of it. */
    ck_assert_msg(database_create(db_path, &plan, &d, &why) == ERR_OK, "%s", why.text);
    write_file("b.yaml", "");
    ck_assert_msg(database_plan(d, &again, &why) == ERR_OK, "%s", why.text);
    ck_assert_uint_eq(again.part[0].workload, 1u << PART_PAINTER);
    ck_assert_uint_eq(again.part[1].target[0].place.kind, PLACE_HEAP);
    plan_done(&again);
    plan_done(&plan);
    database_close(d);
}
END_TEST

static const struct {
    const char *text, *message;
} bad_files[] = {
    {"parts: [none.yaml]\ncount: 1\nseed: 1\n", "none.yaml"},
    {"parts: [x.yaml]\ncount: 1\nseed: 1\n", "line 1: parts: a part has no parts"},
    {"parts: [a.yaml]\ncount: 1\nseed: 1\nmodel: flip\n", "line 4: model: is for the parts to say"},
    {"parts: [a.yaml]\nseed: 1\n", "count: is missing"},
    {GOOD "models: [flip]\n", "models: there is a model, too"},
    {"machine: machine.yaml\ntargets: [random]\nmodels: [flip, melt]\ncount: 1\nseed: 1\n", "models: model 'melt'"},
    {"machine: exact.yaml\ntargets: [random]\nmodels: [flip, stuck1]\ncount: 1\nseed: 1\nexact: yes\n",
     "models: stuck1 is made true again"},
    {"", "x.yaml: is empty"},
    {"machine: [", "x.yaml"},
    {GOOD "unheard_of: 3\n", "unheard_of"},
    {GOOD "model_weights: [1, 2]\n", "line 6: model_weights: are 2, for 1 models"},
    {GOOD "model_weights: [0]\n", "line 6: model_weights: is no number from 1"},
    {GOOD "in_a_row: 5\n", "line 6: in_a_row: is for a campaign with parts"},
    {GOOD "until_half_width: 0\n", "line 6: until_half_width: is no number of percent"},
    {GOOD "until_half_width: 5%\n", "line 6: until_half_width: is no number of percent"},
    {GOOD "until_half_width: nan\n", "line 6: until_half_width: is no number of percent"},
    {GOOD "workload: [graphics, chan]\n", "line 6: workload: 'chan' is no part of the workload"},
    {GOOD "workload: graphics\n", "line 6: workload: is one value"},
    {"machine: machine.yaml\ntargets: []\nmodel: flip\ncount: 1\nseed: 1\n", "x.yaml"},
    {"machine: none.yaml\ntargets: [random]\nmodel: flip\ncount: 1\nseed: 1\n", "none.yaml"},
    {"machine: machine.yaml\ntargets: [moon]\nmodel: flip\ncount: 1\nseed: 1\n", "target 'moon'"},
    {"machine: machine.yaml\ntargets: [random]\nmodel: melt\ncount: 1\nseed: 1\n", "model 'melt'"},
    {"machine: machine.yaml\ntargets: [random]\nmodel: flip\ncount: 0\nseed: 1\n", "count"},
    {"machine: machine.yaml\ntargets: [random]\nmodel: flip\ncount: many\nseed: 1\n", "x.yaml"},
    {"machine: machine.yaml\ntargets: [random]\nmodel: flip\ncount: 1.5\nseed: 1\n", "count: '1.5'"},
    {"machine: machine.yaml\ntargets: [random]\nmodel: flip\ncount: 1\nseed: -1\n", "seed: '-1'"},
    {GOOD "rounds: 3x\n", "rounds: '3x'"},
    {GOOD "jitter_ms: 4294967296\n", "jitter_ms: '4294967296'"},
    {GOOD "accel: warp\n", "x.yaml: line 6: accel: accelerator 'warp'"},
    {GOOD "rounds: 0\n", "x.yaml: line 6: rounds: '0'"},
    {GOOD "timeout_ms: 0\n", "timeout_ms: '0'"},
    {GOOD "warmup_rounds: 0\n", "warmup_rounds: '0'"},
    {GOOD "boot_ms:\n", "x.yaml: line 6: boot_ms: has no value"},
    {GOOD "seed: 6\n", "x.yaml: line 6: seed: is in line 5 already"},
    {GOOD "exact: yes\n", "line 6: exact: needs icount: yes and cpus: 1 in the machine file"},
    {EXACT("icount", "flip") "exact: yes\n", "exact: needs icount: yes and cpus: 1"},
    {EXACT("exact", "flip") "exact: yes\njitter_ms: 3\n", "line 7: jitter_ms: is time of the host"},
    {EXACT("exact", "stuck0") "exact: yes\n", "model: stuck0 is made true again by the host"},
    {GOOD "jitter_switches: 3\n", "line 6: jitter_switches: needs exact: yes"},
    {EXACT("exact", "flip") "exact: yes\njitter_switches: 10001\n", "jitter_switches: '10001'"},
    {GOOD "---\n" GOOD, "x.yaml: line 6: a second document"},
    {"targets: [random]\nmodel: flip\ncount: 1\nseed: 1\n", "x.yaml: line 1: machine: is missing"},
    {"machine: bad.yaml\ntargets: [random]\nmodel: flip\ncount: 1\nseed: 1\n",
     "x.yaml: line 1: machine: machine file "},
    {"machine: machine.yaml\ntargets: random\nmodel: flip\ncount: 1\nseed: 1\n", "line 2: targets: is one value"},
    {"machine: machine.yaml\ntargets:\n- random\n- moon\nmodel: flip\ncount: 1\nseed: 1\n", "line 4: targets: target"},
};

/* A path that was cut would be another folder's. */
START_TEST(refuses_a_folder_that_is_too_long)
{
    struct plan plan;
    char folder[sizeof plan.folder + 1];

    memset(folder, 'f', sizeof folder - 1);
    folder[0] = '/', folder[sizeof folder - 1] = '\0';
    ck_assert_int_eq(plan_parse("x.yaml", GOOD, folder, NULL, NULL, &plan, &why), ERR_RANGE);
    ck_assert_ptr_nonnull(strstr(why.text, "folder"));
}
END_TEST

START_TEST(refuses_files)
{
    struct plan plan;

    ck_assert_int_ne(load(bad_files[_i].text, &plan), ERR_OK);
    ck_assert_msg(strstr(why.text, bad_files[_i].message) != NULL, "%s", why.text);
    ck_assert_ptr_null(strchr(why.text, '\n'));
}
END_TEST

/* { target, what `campaign check` says of it; NULL: good } with the archive that is built. */
static const struct {
    const char *target, *message;
} targets[] = {
    {"cell:channel", NULL},
    {"cell:channel:.text", NULL},
    {"cell:channel:channel_send", NULL},
    {"cell:channel:.bss.totals", NULL},
    {"cell:*:.data", NULL},
    {"cell:*", NULL},
    {"symbol:channel_send", NULL},
    {"symbol:channel_send+2+4", NULL},
    {"task:producer:stack", NULL},
    {"task:workload:stack", NULL},
    {"task:idle1:stack", NULL},
    {"task:*:stack", NULL},
    {"task:7:stack", NULL},
    {"phys:0x3ffffff", NULL},
    {"random", NULL},
    {"cell:root/channel:.text", NULL},
    {"cell:small/channel:.text.channel_send+4", NULL}, /* a namespace that an application may make */
    {"symbol:channel.channel_send", NULL},
    {"symbol:small/channel.channel_send+2", NULL},
    {"cell:root/chanel", "there is no cell 'chanel'"},
    {"symbol:root/chanel.channel_send", "there is no cell 'root/chanel'"},
    {"symbol:root/log.channel_send", "there is no symbol 'root/log.channel_send'"},
    {"cell:chanel", "there is no cell 'chanel'"},
    {"cell:channel_v2:.text", "there is no cell 'channel_v2'"},
    {"cell:canvas_avx2", "there is no cell 'canvas_avx2'"},
    {"cell:TRAILER!!!", "there is no cell"},
    {"cell:nano_core", "cell nano_core is gone"},
    {"cell:channel:.txt", "cell channel has nothing in .txt"},
    {"cell:channel:channel_sent", "cell channel has nothing in channel_sent"},
    {"cell:channel:.data", "cell channel has nothing in .data"}, /* empty */
    {"cell:*:.tbss", "cell * has nothing in .tbss"},
    {"symbol:channel_sent", "there is no symbol 'channel_sent'"},
    {"symbol:memccpy", "there is no symbol 'memccpy'"},
    {"symbol:channel_send+0x4000", "symbol channel_send has "},
    {"task:produzer:stack", "no cell in archive"},
    {"task:produce:stack", "no cell in archive"},
    {"task:idl1:stack", "no cell in archive"},
    {"phys:0x4000000", "is not within the machine's 64 MiB"},
    {"phys:0x3ffffff+2", "is not within the machine's 64 MiB"},
};

static enum err check_targets_of(const char *target, const char *archive)
{
    char text[512];
    struct plan plan;

    snprintf(text, sizeof text, "kernel: kernel\narchive: %s\n", archive);
    write_file("machine.yaml", text);
    snprintf(text, sizeof text, "machine: machine.yaml\ntargets:\n- random\n- '%s'\nmodel: flip\ncount: 1\nseed: 1\n",
             target);
    ck_assert_msg(load(text, &plan) == ERR_OK, "%s", why.text);
    enum err e = targets_check("x.yaml", &plan, &why);
    plan_done(&plan);
    return e;
}

START_TEST(checks_targets)
{
    char archive[256];

    ck_assert_ptr_nonnull(realpath("build/cells.archive", archive));
    enum err e = check_targets_of(targets[_i].target, archive);
    if (!targets[_i].message) {
        ck_assert_msg(e == ERR_OK, "%s", why.text);
        return;
    }
    ck_assert_msg(e == ERR_NOT_FOUND || e == ERR_RANGE, "%d for %s", e, targets[_i].target);
    ck_assert_msg(strncmp(why.text, "x.yaml: line 4: targets: ", 25) == 0, "%s", why.text);
    ck_assert_msg(strstr(why.text, targets[_i].message) != NULL, "%s", why.text);
}
END_TEST

START_TEST(an_archive_without_cells_has_no_target)
{
    ck_assert_int_eq(check_targets_of("cell:channel", "archive"), ERR_CORRUPT);
    ck_assert_ptr_nonnull(strstr(why.text, "has no cells"));
    write_file("archive",
               "070701 and no more, but longer than the header of a member is, which is one hundred and ten bytes");
    ck_assert_int_eq(check_targets_of("cell:channel", "archive"), ERR_CORRUPT);
}
END_TEST

START_TEST(refuses_missing_files)
{
    struct plan plan;

    ck_assert_int_eq(plan_load("/nonexistent/x.yaml", &plan, &why), ERR_NOT_FOUND);
    unlink((snprintf(db_path, sizeof db_path, "%s/kernel", dir), db_path));
    ck_assert_int_eq(load(GOOD, &plan), ERR_NOT_FOUND);
    ck_assert_ptr_nonnull(strstr(why.text, "`make` builds it"));
}
END_TEST

/* ---- databases ---- */

static struct database *create(struct plan *plan)
{
    struct database *d;

    ck_assert_msg(load(GOOD, plan) == ERR_OK, "%s", why.text);
    ck_assert_msg(database_create(db_path, plan, &d, &why) == ERR_OK, "%s", why.text);
    return d;
}

static void add(struct database *d, uint64_t index, const char *target, enum outcome outcome)
{
    struct experiment *x = calloc(1, sizeof *x);

    ck_assert_ptr_nonnull(x);
    x->index = index;
    snprintf(x->target, sizeof x->target, "%s", target);
    strcpy(x->model_words, "flips:2");
    x->kind = "text";
    x->outcome[OUTCOME_STRICT] = outcome;
    x->outcome[OUTCOME_THESIS] = outcome == OUTCOME_WRONG ? OUTCOME_BENIGN : outcome;
    x->delay_ms = 4;
    x->delay_switches = 6;
    x->injection.changes = 2;
    for (int i = 0; i < 2; i++)
        x->injection.change[i] = (struct change){
            .phys = 0x1000 + index, .bytes = 1, .keep = UINT64_MAX, .flip = 1u << i, .before = 0x80, .after = 0x81};
    strcpy(x->where[0], "a:.text.f+0x3");
    x->has_fault = true;
    x->fault = (struct arena_fault){.vector = 14, .ip = UINT64_MAX, .cell_name = "a", .symbol = "f"};
    ck_assert_msg(database_add(d, x, &why) == ERR_OK, "%s", why.text);
    free(x);
}

START_TEST(keeps_experiments)
{
    struct experiment *x = malloc(sizeof *x);
    struct plan plan, again;
    struct database *d = create(&plan);

    add(d, 3, "random", OUTCOME_RELOAD);
    database_close(d);
    ck_assert_int_eq(database_open(db_path, DATABASE_READ, &d, &why), ERR_OK);
    ck_assert(database_has(d, 3));
    ck_assert(!database_has(d, 2));
    ck_assert_int_eq(database_get(d, 3, x, &why), ERR_OK);
    ck_assert_str_eq(x->target, "random");
    ck_assert_int_eq(x->outcome[OUTCOME_STRICT], OUTCOME_RELOAD);
    ck_assert_int_eq(x->outcome[OUTCOME_THESIS], OUTCOME_RELOAD);
    ck_assert_uint_eq(x->delay_ms, 4);
    ck_assert_uint_eq(x->delay_switches, 6);
    ck_assert_uint_eq(x->injection.changes, 2);
    ck_assert_str_eq(x->where[0], "a:.text.f+0x3");
    ck_assert_uint_eq(x->injection.change[1].phys, 0x1003);
    ck_assert_uint_eq(x->injection.change[1].flip, 2);
    ck_assert_uint_eq(x->injection.change[1].keep, UINT64_MAX);
    ck_assert_int_eq(database_get(d, 2, x, &why), ERR_NOT_FOUND);
    ck_assert_int_eq(database_plan(d, &again, &why), ERR_OK);
    ck_assert_uint_eq(again.seed, 5);
    plan_done(&again);
    plan_done(&plan);
    database_close(d);
    free(x);
}
END_TEST

/* Bytes 18 and 19 of the header: 1 is a file that a reader needs nothing beside, 2 has a log. */
START_TEST(leaves_one_file)
{
    struct plan plan;
    struct database *d = create(&plan);
    char head[20], log_path[160];

    add(d, 0, "random", OUTCOME_BENIGN);
    database_close(d);
    FILE *f = fopen(db_path, "rb");
    ck_assert_ptr_nonnull(f);
    ck_assert_uint_eq(fread(head, 1, sizeof head, f), sizeof head);
    fclose(f);
    ck_assert_int_eq(head[18], 1);
    ck_assert_int_eq(head[19], 1);
    snprintf(log_path, sizeof log_path, "%s-wal", db_path);
    ck_assert_int_ne(access(log_path, F_OK), 0);
    ck_assert_int_eq(database_open(db_path, DATABASE_WRITE, &d, &why), ERR_OK);
    add(d, 1, "random", OUTCOME_BENIGN);
    database_close(d);
    plan_done(&plan);
}
END_TEST

START_TEST(guards_the_database)
{
    struct database *d, *other;
    struct plan plan;

    d = create(&plan);
    ck_assert_int_eq(database_create(db_path, &plan, &other, &why), ERR_EXISTS);
    ck_assert_int_eq(database_open(db_path, DATABASE_WRITE, &other, &why), ERR_BUSY);
    ck_assert_int_eq(database_open(db_path, DATABASE_READ, &other, &why), ERR_OK);
    database_close(other);
    ck_assert_int_eq(database_pin(d, "build_id", "abc", &why), ERR_OK);
    ck_assert_int_eq(database_pin(d, "build_id", "abc", &why), ERR_OK);
    ck_assert_int_eq(database_pin(d, "build_id", "abd", &why), ERR_INVALID);
    ck_assert_ptr_nonnull(strstr(why.text, "build_id was abc and is abd now"));
    add(d, 0, "random", OUTCOME_BENIGN);
    plan_done(&plan);
    database_close(d);
}
END_TEST

START_TEST(refuses_other_databases)
{
    struct database *d;

    ck_assert_int_eq(database_open("/nonexistent/x.db", DATABASE_READ, &d, &why), ERR_NOT_FOUND);
    write_file("x.db", "this is a text file, and it is long enough to be looked at as a database header .......");
    ck_assert_int_ne(database_open(db_path, DATABASE_READ, &d, &why), ERR_OK);
    ck_assert_int_ne(database_open(db_path, DATABASE_WRITE, &d, &why), ERR_OK);
    write_file("x.db", "");
    ck_assert_int_eq(database_open(db_path, DATABASE_READ, &d, &why), ERR_CORRUPT);
}
END_TEST

static void change_database(const char *sql)
{
    sqlite3 *s;

    ck_assert_int_eq(sqlite3_open(db_path, &s), SQLITE_OK);
    ck_assert_msg(sqlite3_exec(s, sql, NULL, NULL, NULL) == SQLITE_OK, "%s", sqlite3_errmsg(s));
    sqlite3_close(s);
}

START_TEST(bears_nulls)
{
    struct report *r = malloc(sizeof *r);
    struct database *d;

    change_database("CREATE TABLE campaign (key, value); INSERT INTO campaign VALUES ('format', NULL)");
    ck_assert_int_eq(database_open(db_path, DATABASE_READ, &d, &why), ERR_CORRUPT);
    change_database("UPDATE campaign SET value = '2'; CREATE TABLE experiment (target, outcome, outcome_thesis);"
                    "INSERT INTO experiment VALUES (NULL, 'benign', 'benign'), ('random', NULL, 'benign'),"
                    "('random', 'benign', NULL), ('random', 'benign', 'benign')");
    ck_assert_int_eq(database_open(db_path, DATABASE_READ, &d, &why), ERR_OK);
    ck_assert_int_eq(report_make(d, r, &why), ERR_OK);
    ck_assert_uint_eq(r->done, 1);
    database_close(d);
    free(r);
}
END_TEST

static void check_old(struct database *d)
{
    struct report *r = malloc(sizeof *r);

    ck_assert_int_eq(report_make(d, r, &why), ERR_OK);
    ck_assert_uint_eq(r->done, 5);
    ck_assert_uint_eq(r->rate[OUTCOME_STRICT].manifested, 4);
    ck_assert_uint_eq(r->rate[OUTCOME_STRICT].recovered, 0);
    ck_assert_uint_eq(r->rate[OUTCOME_THESIS].manifested, 3);
    ck_assert_uint_eq(r->rate[OUTCOME_THESIS].recovered, 2);
    free(r);
}

/* What formats 4 and 3 have added. */
#define WITHOUT_FORMAT_4 "ALTER TABLE experiment DROP COLUMN residue;"
#define WITHOUT_FORMAT_3                                                                                               \
    "ALTER TABLE experiment DROP COLUMN part; ALTER TABLE experiment DROP COLUMN kind;"                                \
    "ALTER TABLE experiment DROP COLUMN activated; ALTER TABLE experiment DROP COLUMN cause;"                          \
    "ALTER TABLE experiment DROP COLUMN cause_thesis; ALTER TABLE experiment DROP COLUMN lost_action;"                 \
    "ALTER TABLE experiment DROP COLUMN lost_cell; ALTER TABLE experiment DROP COLUMN lost_symbol;"                    \
    "ALTER TABLE experiment DROP COLUMN lost_message;"

/* A database of format 1: its wrong results with a fault count as the thesis counts that fault. */
START_TEST(reads_an_old_format)
{
    struct experiment *x = malloc(sizeof *x);
    struct plan plan;
    struct database *d = create(&plan);

    for (uint64_t i = 0; i < 5; i++)
        add(d, i, "random", i ? OUTCOME_WRONG : OUTCOME_BENIGN);
    database_close(d);
    change_database("UPDATE experiment SET faults = idx > 1, reloads = idx = 3, unrecovered = idx = 4;"
                    "ALTER TABLE experiment DROP COLUMN delivered_wrong;"
                    "ALTER TABLE experiment DROP COLUMN delivered_lost;"
                    "ALTER TABLE experiment DROP COLUMN delivered_twice;"
                    "ALTER TABLE experiment DROP COLUMN outcome_thesis;"
                    "ALTER TABLE experiment DROP COLUMN delay_switches;" WITHOUT_FORMAT_4 WITHOUT_FORMAT_3
                    "UPDATE campaign SET value = '1' WHERE key = 'format'");
    ck_assert_msg(database_open(db_path, DATABASE_READ, &d, &why) == ERR_OK, "%s", why.text);
    check_old(d);
    ck_assert_int_eq(database_get(d, 3, x, &why), ERR_OK);
    ck_assert_int_eq(x->outcome[OUTCOME_THESIS], OUTCOME_RELOAD);
    database_close(d);
    ck_assert_msg(database_open(db_path, DATABASE_WRITE, &d, &why) == ERR_OK, "%s", why.text);
    check_old(d);
    add(d, 5, "random", OUTCOME_RELOAD);
    ck_assert_int_eq(database_get(d, 5, x, &why), ERR_OK);
    ck_assert_int_eq(x->outcome[OUTCOME_THESIS], OUTCOME_RELOAD);
    database_close(d);
    plan_done(&plan);
    free(x);
}
END_TEST

START_TEST(blames_the_disk_not_the_database)
{
    struct rlimit limit;
    struct database *d;

    /* whoever reads a write-ahead log needs a file beside it */
    change_database("PRAGMA journal_mode = WAL; CREATE TABLE campaign (key, value);"
                    "INSERT INTO campaign VALUES ('format', '1')");
    ck_assert_int_eq(getrlimit(RLIMIT_FSIZE, &limit), 0);
    signal(SIGXFSZ, SIG_IGN);
    setrlimit(RLIMIT_FSIZE, &(struct rlimit){0, limit.rlim_max});
    enum err e = database_open(db_path, DATABASE_READ, &d, &why);
    setrlimit(RLIMIT_FSIZE, &limit);
    signal(SIGXFSZ, SIG_DFL);
    ck_assert_int_eq(e, ERR_IO);
    ck_assert_msg(strstr(why.text, strerror(EFBIG)) != NULL, "%s", why.text);
}
END_TEST

/* ---- reports ---- */

START_TEST(knows_wilson)
{
    static const struct {
        uint64_t hits, n;
        double low, high;
    } known[] = {{0, 0, 0, 1},
                 {0, 10, 0, 0.27753},
                 {10, 10, 0.72247, 1},
                 {5, 10, 0.23659, 0.76341},
                 {461, 665, 0.65710, 0.72711},
                 {1, 1, 0.20654, 1}};

    for (size_t i = 0; i < sizeof known / sizeof *known; i++) {
        double low, high;

        report_wilson(known[i].hits, known[i].n, &low, &high);
        ck_assert_double_eq_tol(low, known[i].low, 0.0001);
        ck_assert_double_eq_tol(high, known[i].high, 0.0001);
    }
}
END_TEST

START_TEST(adds_up)
{
    struct report *r = malloc(sizeof *r);
    struct plan plan;
    struct database *d = create(&plan);

    add(d, 0, "random", OUTCOME_BENIGN);
    add(d, 1, "random", OUTCOME_RESTART);
    add(d, 2, "cell:a:.text", OUTCOME_RELOAD);
    add(d, 3, "cell:a:.text", OUTCOME_CRASH);
    add(d, 4, "random", OUTCOME_WRONG);
    ck_assert_int_eq(report_make(d, r, &why), ERR_OK);
    ck_assert_uint_eq(r->planned, 9);
    ck_assert_uint_eq(r->done, 5);
    ck_assert_uint_eq(r->rate[OUTCOME_STRICT].manifested, 4);
    ck_assert_uint_eq(r->rate[OUTCOME_STRICT].recovered, 2);
    ck_assert_uint_eq(r->rate[OUTCOME_THESIS].manifested, 3);
    ck_assert_uint_eq(r->rate[OUTCOME_THESIS].recovered, 2);
    ck_assert_uint_eq(r->targets, 2);
    ck_assert_uint_eq(r->count[OUTCOME_CRASH], 1);
    ck_assert_str_eq(r->target[0].words, "cell:a:.text");
    ck_assert_str_eq(r->target[1].words, "random");
    for (enum outcome o = 0; o < OUTCOME_COUNT; o++) {
        ck_assert_uint_eq(r->target[0].count[o], o == OUTCOME_RELOAD || o == OUTCOME_CRASH);
        ck_assert_uint_eq(r->target[1].count[o], o == OUTCOME_BENIGN || o == OUTCOME_RESTART || o == OUTCOME_WRONG);
    }
    ck_assert_double_eq_tol(r->rate[OUTCOME_STRICT].rate, 2.0 / 4, 1e-9);
    ck_assert_double_eq_tol(r->rate[OUTCOME_THESIS].rate, 2.0 / 3, 1e-9);
    plan_done(&plan);
    database_close(d);
    free(r);
}
END_TEST

/* Prints the tables of the database; free() them. */
static char *tables(struct database *d, enum err error)
{
    char *text = NULL;
    size_t bytes;
    FILE *f = open_memstream(&text, &bytes);

    ck_assert_ptr_nonnull(f);
    ck_assert_int_eq(tables_print(d, f, &why), error);
    fclose(f);
    return text;
}

START_TEST(prints_tables)
{
    static const char *const lines[] = {
        "\n| flips:2 | 5 | - | 4 | 2 | 50.0% (15.0 to 85.0) | - | 60.0% (23.1 to 88.2) | 2 of 3 | 66.7%",
        "\n| one | 3 | 2 | 2 | 1 |",
        "\n| two | 2 | - | 2 | 1 | 50.0% (9.5 to 90.5) | - |",
        "| recovered | 461 of 665 | 2 of 4 | 2 of 3 |",
        "| - restart task | 50 | 1 | 1 |",
        "| - reload cell | 411 | 1 | 1 |",
        "| 94 | 0 | 0 |\n| - hung task: it stopped with nothing logged, or hung again and again | 30 | 1 | 1 |",
        "something wrong was delivered | 0 | 1 | 0 |",
        "\n| 4 | two | flips:2 | a:.text.f+0x3 | hang | hung task | a:f |\n",
    };
    struct plan plan;
    struct database *d = create(&plan);
    const enum outcome outcome[] = {OUTCOME_BENIGN, OUTCOME_RESTART, OUTCOME_WRONG, OUTCOME_RELOAD, OUTCOME_HANG};

    for (uint64_t i = 0; i < 5; i++)
        add(d, i, "random", outcome[i]);
    database_close(d);
    change_database("UPDATE experiment SET part = iif(idx < 3, 'thesis/one.yaml', 'thesis/two.yaml'),"
                    " activated = iif(idx < 4, idx > 0, NULL),"
                    " cause = CASE outcome WHEN 'hang' THEN 'hung task' WHEN 'wrong' THEN 'wrong result' ELSE '' END,"
                    " cause_thesis = iif(outcome = 'hang', 'hung task', '')");
    ck_assert_int_eq(database_open(db_path, DATABASE_READ, &d, &why), ERR_OK);
    char *text = tables(d, ERR_OK);
    for (size_t i = 0; i < sizeof lines / sizeof *lines; i++)
        ck_assert_msg(strstr(text, lines[i]) != NULL, "no '%s' in:\n%s", lines[i], text);
    free(text);
    database_close(d);
    change_database(WITHOUT_FORMAT_4 WITHOUT_FORMAT_3 "UPDATE campaign SET value = '2' WHERE key = 'format'");
    ck_assert_int_eq(database_open(db_path, DATABASE_READ, &d, &why), ERR_OK);
    free(tables(d, ERR_UNSUPPORTED));
    database_close(d);
    ck_assert_int_eq(database_open(db_path, DATABASE_WRITE, &d, &why), ERR_OK);
    text = tables(d, ERR_OK);
    ck_assert_ptr_nonnull(strstr(text, "| recovered | 461 of 665 | 2 of 4 | 2 of 3 |"));
    free(text);
    plan_done(&plan);
    database_close(d);
}
END_TEST

Suite *suite_campaign(void);
Suite *suite_campaign(void)
{
    Suite *s = suite_create("campaign");
    TCase *tc = tcase_create("campaign");

    tcase_add_checked_fixture(tc, setup, teardown);
    tcase_add_test(tc, reads_a_file);
    tcase_add_test(tc, reads_a_workload);
    tcase_add_test(tc, reads_an_exact_file);
    tcase_add_test(tc, weighs_models);
    tcase_add_test(tc, reads_a_campaign_of_others);
    tcase_add_test(tc, refuses_a_folder_that_is_too_long);
    tcase_add_loop_test(tc, refuses_files, 0, sizeof bad_files / sizeof *bad_files);
    tcase_add_loop_test(tc, checks_targets, 0, sizeof targets / sizeof *targets);
    tcase_add_test(tc, an_archive_without_cells_has_no_target);
    tcase_add_test(tc, refuses_missing_files);
    tcase_add_test(tc, keeps_experiments);
    tcase_add_test(tc, leaves_one_file);
    tcase_add_test(tc, guards_the_database);
    tcase_add_test(tc, refuses_other_databases);
    tcase_add_test(tc, bears_nulls);
    tcase_add_test(tc, reads_an_old_format);
    tcase_add_test(tc, blames_the_disk_not_the_database);
    tcase_add_test(tc, knows_wilson);
    tcase_add_test(tc, adds_up);
    tcase_add_test(tc, prints_tables);
    suite_add_tcase(s, tc);
    return s;
}
