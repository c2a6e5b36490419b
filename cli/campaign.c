/* `delias campaign`: check, run, resume, report and replay fault-injection campaigns. */
#include <inttypes.h>
#include <jansson.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include "cli/cli.h"
#include "cli/files.h"
#include "cli/out.h"
#include "cli/verbs.h"
#include "injector/campaign.h"
#include "injector/report.h"
#include "injector/tables.h"
#include "injector/targets.h"
#include "introspect/base/number.h"

enum { BAR = 32 };

static volatile sig_atomic_t interrupted;

static void interrupt(int signal)
{
    (void)signal;
    interrupted = 1;
}

/* ---- progress ---- */

static void print_outcomes(FILE *f, const uint64_t counts[OUTCOME_COUNT])
{
    for (enum outcome o = 0; o < OUTCOME_COUNT; o++)
        if (counts[o])
            fprintf(f, " %s %" PRIu64, outcome_word(o), counts[o]);
}

/* A bar on a terminal; else a line for each experiment. */
static void show_progress(void *context, const struct campaign_progress *p)
{
    int full = (int)(p->done * BAR / p->count);

    (void)context;
    if (isatty(STDERR_FILENO)) {
        fprintf(stderr, "\r[%.*s%*s] %" PRIu64 "/%" PRIu64, full, "################################", BAR - full, "",
                p->done, p->count);
        print_outcomes(stderr, p->outcomes);
        fputs("\033[K", stderr);
    } else if (p->last) {
        fprintf(stderr, "%" PRIu64 "/%" PRIu64 "  %" PRIu64 "  %-8s %s  %s%s%s\n", p->done, p->count, p->last->index,
                outcome_word(p->last->outcome[OUTCOME_STRICT]), p->last->target, p->last->where[0],
                p->last->moment.came ? "  at " : "", p->last->moment.came ? p->last->moment.place : "");
    }
}

/* ---- report ---- */

static json_t *json_counts(const uint64_t counts[OUTCOME_COUNT])
{
    json_t *o = json_object();

    for (enum outcome i = 0; i < OUTCOME_COUNT; i++)
        json_object_set_new(o, outcome_word(i), json_integer((json_int_t)counts[i]));
    return o;
}

static json_t *json_rate(const struct report_rate *rate)
{
    return json_pack("{s:I, s:I, s:f, s:f, s:f}", "manifested", (json_int_t)rate->manifested, "recovered",
                     (json_int_t)rate->recovered, "recovery_rate", rate->rate, "wilson_low", rate->low, "wilson_high",
                     rate->high);
}

static json_t *json_moments(const struct report_moments *m)
{
    json_t *rows = json_array();

    for (unsigned i = 0; i < m->moments; i++)
        json_array_append_new(rows, json_pack("{s:s, s:o}", "moment", m->moment[i].function, "outcomes",
                                              json_counts(m->moment[i].count)));
    json_t *all = json_pack("{s:I, s:o}", "missed", (json_int_t)m->missed, "rows", rows);
    json_object_update_new(all, json_rate(&m->rate));
    return all;
}

static json_t *json_residue(const struct report_residue *r)
{
    json_t *rows = json_array();

    for (unsigned i = 0; i < r->rows; i++)
        json_array_append_new(rows, json_pack("{s:s, s:s, s:I}", "target", r->row[i].target, "left", r->row[i].left,
                                              "experiments", (json_int_t)r->row[i].count));
    return json_pack("{s:I, s:I, s:o}", "known", (json_int_t)r->known, "clean", (json_int_t)r->clean, "rows", rows);
}

static void report_json(const struct report *r)
{
    json_t *targets = json_array();

    for (unsigned i = 0; i < r->targets; i++)
        json_array_append_new(targets, json_pack("{s:s, s:o}", "target", r->target[i].words, "outcomes",
                                                 json_counts(r->target[i].count)));
    json_t *all = json_pack("{s:s, s:s, s:s, s:s, s:I, s:I, s:f, s:o, s:o, s:o}", "build_id", r->build_id, "seed",
                            r->seed, "model", r->model, "backend", r->backend, "count", (json_int_t)r->planned, "done",
                            (json_int_t)r->done, "per_second", r->per_second, "outcomes", json_counts(r->count),
                            "targets", targets, "thesis", json_rate(&r->rate[OUTCOME_THESIS]));
    json_object_update_new(all, json_rate(&r->rate[OUTCOME_STRICT]));
    if (r->moments.moments || r->moments.missed)
        json_object_set_new(all, "moments", json_moments(&r->moments));
    if (r->residue.known)
        json_object_set_new(all, "residue", json_residue(&r->residue));
    out_json(all);
}

static void report_line(const char *name, const uint64_t counts[OUTCOME_COUNT])
{
    printf("%-28s", name);
    for (enum outcome o = 0; o < OUTCOME_COUNT; o++)
        printf("  %8" PRIu64, counts[o]);
    putchar('\n');
}

static void report_rate(const char *name, const struct report_rate *rate)
{
    printf("%s: manifested %" PRIu64 ", recovered %" PRIu64, name, rate->manifested, rate->recovered);
    if (rate->manifested)
        printf(": %.1f%% (95%% interval %.1f%% to %.1f%%)", 100 * rate->rate, 100 * rate->low, 100 * rate->high);
    putchar('\n');
}

static void report_head(const char *what)
{
    printf("%-28s", what);
    for (enum outcome o = 0; o < OUTCOME_COUNT; o++)
        printf("  %8s", outcome_word(o));
    putchar('\n');
}

static void report_moments(const struct report_moments *m)
{
    putchar('\n');
    report_head("moment");
    for (unsigned i = 0; i < m->moments; i++)
        report_line(m->moment[i].function, m->moment[i].count);
    report_rate("at these moments, strict", &m->rate);
    printf("the moment did not come: %" PRIu64 "\n", m->missed);
}

static void report_residue(const struct report_residue *r)
{
    printf("after recovery: %" PRIu64 " of %" PRIu64 " clean\n", r->clean, r->known);
    for (unsigned i = 0; i < r->rows; i++)
        printf("  left by %" PRIu64 " into %s: %s\n", r->row[i].count, r->row[i].target, r->row[i].left);
}

static void report_table(const struct report *r)
{
    printf("image %s, model %s, seed %s, %s: %" PRIu64 " of %" PRIu64 " experiments\n\n", r->build_id, r->model,
           r->seed, r->backend, r->done, r->planned);
    report_head("target");
    for (unsigned i = 0; i < r->targets; i++)
        report_line(r->target[i].words, r->target[i].count);
    report_line("all", r->count);
    putchar('\n');
    report_rate("strict", &r->rate[OUTCOME_STRICT]);
    report_rate("as the thesis counts", &r->rate[OUTCOME_THESIS]);
    if (r->residue.known)
        report_residue(&r->residue);
    printf("speed: %.2f experiments per second and core\n", r->per_second);
    if (r->moments.moments || r->moments.missed)
        report_moments(&r->moments);
}

static enum cli_status print_report(struct database *d, bool json)
{
    OWN(memory) struct report *r = malloc(sizeof *r);
    struct why why = {0};

    if (!r)
        return cli_fail(CLI_FAILED, "out of memory");
    if (report_make(d, r, &why))
        return cli_fail(CLI_FAILED, "%s", why.text);
    (json ? report_json : report_table)(r);
    return CLI_DONE;
}

/* ---- subverbs ---- */

enum cli_status campaign_check(struct call *call)
{
    CLOSED_BY(plan_done) struct plan plan = {0};
    char path[FILES_PATH];
    struct why why = {0};

    files_find(FILES_CAMPAIGNS, call->argv[0], path, sizeof path);
    if (plan_load(path, &plan, &why) || targets_check(path, &plan, &why))
        return cli_fail(CLI_FAILED, "%s", why.text);
    if (plan.parts)
        printf("%s: %u campaigns, seed %" PRIu64 ": good\n", call->argv[0], plan.parts, plan.seed);
    else
        printf("%s: %" PRIu64 " experiments of %s into %u target%s, seed %" PRIu64 ": good\n", call->argv[0],
               plan.count, plan.model_words, plan.targets, plan.targets == 1 ? "" : "s", plan.seed);
    return CLI_DONE;
}

/* Whether the database has no finished experiment. */
static bool is_campaign_empty(struct database *d)
{
    OWN(memory) struct report *r = malloc(sizeof *r);
    struct why why = {0};

    return r && report_make(d, r, &why) == ERR_OK && r->done == 0;
}

static enum cli_status run_campaign(struct database *d, const char *path, const struct plan *plan,
                                    const struct call *call)
{
    const struct campaign_watcher watcher = {
        .progress = show_progress,
        .until_manifested = call->manifested.value,
        .workers = (unsigned)call->workers.value,
        .stop = &interrupted,
    };
    const struct sigaction action = {.sa_handler = interrupt};
    struct why why = {0};

    sigaction(SIGINT, &action, NULL);
    sigaction(SIGTERM, &action, NULL);
    enum err e = campaign_run(d, path, plan, &watcher, &why);
    if (isatty(STDERR_FILENO))
        fputc('\n', stderr);
    if (e && is_campaign_empty(d))
        return cli_fail(CLI_FAILED, "%s", why.text);
    if (e)
        return cli_fail(CLI_FAILED, "%s; `delias campaign resume %s` goes on from here", why.text, path);
    enum cli_status status = print_report(d, call->json);
    if (!status && interrupted)
        status = cli_fail(CLI_FAILED, "interrupted; `delias campaign resume %s` goes on from here", path);
    return status;
}

/* DIR/quick.yaml -> quick.db, here. */
static void default_output(const char *path, char *ret_output, size_t bytes)
{
    const char *name = strrchr(path, '/') ? strrchr(path, '/') + 1 : path, *dot = strrchr(name, '.');

    snprintf(ret_output, bytes, "%.*s.db", dot && dot != name ? (int)(dot - name) : (int)strlen(name), name);
}

enum cli_status campaign_start(struct call *call)
{
    CLOSED_BY(plan_done) struct plan plan = {0};
    OWN(database) struct database *d = NULL;
    char output[MACHINE_PATH_MAX], path[FILES_PATH];
    struct why why = {0};

    files_find(FILES_CAMPAIGNS, call->argv[0], path, sizeof path);
    if (call->output)
        snprintf(output, sizeof output, "%s", call->output);
    else
        default_output(path, output, sizeof output);
    if (plan_load(path, &plan, &why) || targets_check(path, &plan, &why) || database_create(output, &plan, &d, &why))
        return cli_fail(CLI_FAILED, "%s", why.text);
    enum cli_status status = run_campaign(d, output, &plan, call);
    if (status && !interrupted && is_campaign_empty(d))
        database_discard(MOVE(d)); /* else the next try would find the file there */
    return status;
}

enum cli_status campaign_resume(struct call *call)
{
    CLOSED_BY(plan_done) struct plan plan = {0};
    OWN(database) struct database *d = NULL;
    struct why why = {0};

    if (database_open(call->argv[0], DATABASE_WRITE, &d, &why) || database_plan(d, &plan, &why))
        return cli_fail(CLI_FAILED, "%s", why.text);
    return run_campaign(d, call->argv[0], &plan, call);
}

enum cli_status campaign_report(struct call *call)
{
    OWN(database) struct database *d = NULL;
    struct why why = {0};

    if (database_open(call->argv[0], DATABASE_READ, &d, &why))
        return cli_fail(CLI_FAILED, "%s", why.text);
    return print_report(d, call->json);
}

enum cli_status campaign_tables(struct call *call)
{
    OWN(database) struct database *d = NULL;
    struct why why = {0};

    if (database_open(call->argv[0], DATABASE_READ, &d, &why) || tables_print(d, stdout, &why))
        return cli_fail(CLI_FAILED, "%s", why.text);
    return CLI_DONE;
}

/* ---- replay ---- */

static void print_replay_json(const struct experiment *was, const struct experiment *is)
{
    json_t *changes = json_array();
    char what[128];

    for (size_t i = 0; i < is->injection.changes; i++) {
        change_print(&is->injection.change[i], what, sizeof what);
        json_array_append_new(changes, json_pack("{s:s, s:s}", "place", is->where[i], "change", what));
    }
    json_t *all = json_pack("{s:I, s:s, s:s, s:s, s:o}", "index", (json_int_t)is->index, "target", is->target,
                            "recorded", outcome_word(was->outcome[OUTCOME_STRICT]), "outcome",
                            outcome_word(is->outcome[OUTCOME_STRICT]), "changes", changes);
    out_json(all);
}

static void print_replay(const struct experiment *was, const struct experiment *is)
{
    char what[128];

    printf("experiment %" PRIu64 " into %s\n", is->index, is->target);
    for (size_t i = 0; i < is->injection.changes; i++) {
        change_print(&is->injection.change[i], what, sizeof what);
        printf("  %s%s%s\n", is->where[i], *is->where[i] ? "  " : "", what);
    }
    for (size_t i = 0; i < is->moment.first.changes; i++) {
        change_print(&is->moment.first.change[i], what, sizeof what);
        printf("  before: %s  %s\n", is->moment.first_where[i], what);
    }
    if (*is->moment.function)
        printf("  %u instructions after the entry of %s, %s\n", is->moment.steps, is->moment.function,
               is->moment.came ? is->moment.place : "which did not come");
    if (is->has_fault)
        printf("first fault: %s%s in %s:%s+%#x, task %s, ip 0x%" PRIx64 ", address 0x%" PRIx64 "\n", is->fault.message,
               *is->fault.message ? "," : "", is->fault.cell_name,
               *is->fault.symbol ? is->fault.symbol : is->fault_section, is->fault.offset, is->fault.task_name,
               is->fault.ip, is->fault.address);
    if (is->residue_known) {
        residue_print(&is->residue, what, sizeof what);
        printf("left in use: %s\n", *what ? what : "nothing");
    }
    printf("outcome: %s (%s); recorded: %s\n", outcome_word(is->outcome[OUTCOME_STRICT]),
           outcome_meaning(is->outcome[OUTCOME_STRICT]), outcome_word(was->outcome[OUTCOME_STRICT]));
}

enum cli_status campaign_replay_one(struct call *call)
{
    OWN(memory) struct experiment *was = malloc(sizeof *was), *is = malloc(sizeof *is);
    CLOSED_BY(plan_done) struct plan plan = {0};
    OWN(database) struct database *d = NULL;
    struct why why = {0};
    uint64_t index;

    if (!number_parse(call->argv[1], 0, UINT64_MAX, &index))
        return cli_fail(CLI_USAGE, "replay DB INDEX: '%s' is not the number of an experiment", call->argv[1]);
    if (!was || !is)
        return cli_fail(CLI_FAILED, "out of memory");
    if (database_open(call->argv[0], DATABASE_READ, &d, &why) || database_get(d, index, was, &why) ||
        database_plan(d, &plan, &why) || campaign_replay(d, call->argv[0], &plan, was, is, &why))
        return cli_fail(CLI_FAILED, "%s", why.text);
    (call->json ? print_replay_json : print_replay)(was, is);
    return CLI_DONE;
}
