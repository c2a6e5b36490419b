/* `delias campaign`: check, run, resume, report and replay fault-injection campaigns. */
#include <getopt.h>
#include <inttypes.h>
#include <jansson.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include "cli/cli.h"
#include "cli/verbs.h"
#include "injector/campaign.h"
#include "injector/report.h"

enum { BAR = 32 };

struct options {
    const char *output;
    bool json;
};

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
        fprintf(stderr, "%" PRIu64 "/%" PRIu64 "  %" PRIu64 "  %-8s %s  %s\n", p->done, p->count, p->last->index,
                outcome_word(p->last->outcome), p->last->target, p->last->where[0]);
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

static void report_json(const struct report *r)
{
    json_t *targets = json_array();

    for (unsigned i = 0; i < r->targets; i++)
        json_array_append_new(targets, json_pack("{s:s, s:o}", "target", r->target[i].words, "outcomes",
                                                 json_counts(r->target[i].count)));
    json_t *all = json_pack(
        "{s:s, s:s, s:s, s:s, s:I, s:I, s:o, s:o, s:I, s:I, s:f, s:f, s:f}", "build_id", r->build_id, "seed", r->seed,
        "model", r->model, "backend", r->backend, "count", (json_int_t)r->planned, "done", (json_int_t)r->done,
        "outcomes", json_counts(r->count), "targets", targets, "manifested", (json_int_t)r->manifested, "recovered",
        (json_int_t)r->recovered, "recovery_rate", r->rate, "wilson_low", r->low, "wilson_high", r->high);
    json_dumpf(all, stdout, JSON_INDENT(2));
    putchar('\n');
    json_decref(all);
}

static void report_line(const char *name, const uint64_t counts[OUTCOME_COUNT])
{
    printf("%-28s", name);
    for (enum outcome o = 0; o < OUTCOME_COUNT; o++)
        printf("  %8" PRIu64, counts[o]);
    putchar('\n');
}

static void report_table(const struct report *r)
{
    printf("image %s, model %s, seed %s, %s: %" PRIu64 " of %" PRIu64 " experiments\n\n", r->build_id, r->model,
           r->seed, r->backend, r->done, r->planned);
    printf("%-28s", "target");
    for (enum outcome o = 0; o < OUTCOME_COUNT; o++)
        printf("  %8s", outcome_word(o));
    putchar('\n');
    for (unsigned i = 0; i < r->targets; i++)
        report_line(r->target[i].words, r->target[i].count);
    report_line("all", r->count);
    printf("\nmanifested %" PRIu64 ", recovered %" PRIu64, r->manifested, r->recovered);
    if (r->manifested)
        printf(": %.1f%% (95%% interval %.1f%% to %.1f%%)", 100 * r->rate, 100 * r->low, 100 * r->high);
    putchar('\n');
}

static int print_report(struct database *d, bool json)
{
    struct report *r = malloc(sizeof *r);
    struct why why = {0};

    if (!r)
        return cli_fail(CLI_FAILED, "out of memory");
    enum err e = report_make(d, r, &why);
    if (!e)
        (json ? report_json : report_table)(r);
    free(r);
    return e ? cli_fail(CLI_FAILED, "%s", why.text) : CLI_DONE;
}

/* ---- subverbs ---- */

static int check(const char *path, const struct options *o)
{
    struct plan plan;
    struct why why = {0};

    (void)o;
    if (plan_load(path, &plan, &why))
        return cli_fail(CLI_FAILED, "%s", why.text);
    printf("%s: %" PRIu64 " experiments of %s into %u target%s, seed %" PRIu64 ": good\n", path, plan.count,
           plan.model_words, plan.targets, plan.targets == 1 ? "" : "s", plan.seed);
    plan_done(&plan);
    return CLI_DONE;
}

/* No experiment has come to its end. */
static bool is_empty(struct database *d)
{
    struct report *r = malloc(sizeof *r);
    struct why why = {0};
    bool empty = r && report_make(d, r, &why) == ERR_OK && r->done == 0;

    free(r);
    return empty;
}

static int carry_out(struct database *d, const char *path, const struct plan *plan, const struct options *o)
{
    const struct campaign_watcher watcher = {.progress = show_progress, .stop = &interrupted};
    const struct sigaction action = {.sa_handler = interrupt};
    struct why why = {0};

    sigaction(SIGINT, &action, NULL);
    sigaction(SIGTERM, &action, NULL);
    enum err e = campaign_run(d, path, plan, &watcher, &why);
    if (isatty(STDERR_FILENO))
        fputc('\n', stderr);
    if (e && is_empty(d))
        return cli_fail(CLI_FAILED, "%s", why.text);
    if (e)
        return cli_fail(CLI_FAILED, "%s; `delias campaign resume %s` goes on from here", why.text, path);
    int status = print_report(d, o->json);
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

static int run(const char *path, const struct options *o)
{
    char output[MACHINE_PATH_MAX];
    struct database *d;
    struct plan plan;
    struct why why = {0};

    if (o->output)
        snprintf(output, sizeof output, "%s", o->output);
    else
        default_output(path, output, sizeof output);
    if (plan_load(path, &plan, &why))
        return cli_fail(CLI_FAILED, "%s", why.text);
    int status = CLI_FAILED;
    if (database_create(output, &plan, &d, &why)) {
        cli_fail(CLI_FAILED, "%s", why.text);
    } else {
        status = carry_out(d, output, &plan, o);
        if (status && !interrupted && is_empty(d))
            database_discard(d); /* out of the way of the next try */
        else
            database_close(d);
    }
    plan_done(&plan);
    return status;
}

static int resume(const char *path, const struct options *o)
{
    struct database *d;
    struct plan plan;
    struct why why = {0};

    if (database_open(path, DATABASE_WRITE, &d, &why))
        return cli_fail(CLI_FAILED, "%s", why.text);
    int status = CLI_FAILED;
    if (database_plan(d, &plan, &why)) {
        cli_fail(CLI_FAILED, "%s", why.text);
    } else {
        status = carry_out(d, path, &plan, o);
        plan_done(&plan);
    }
    database_close(d);
    return status;
}

static int report(const char *path, const struct options *o)
{
    struct database *d;
    struct why why = {0};

    if (database_open(path, DATABASE_READ, &d, &why))
        return cli_fail(CLI_FAILED, "%s", why.text);
    int status = print_report(d, o->json);
    database_close(d);
    return status;
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
    json_t *all =
        json_pack("{s:I, s:s, s:s, s:s, s:o}", "index", (json_int_t)is->index, "target", is->target, "recorded",
                  outcome_word(was->outcome), "outcome", outcome_word(is->outcome), "changes", changes);
    json_dumpf(all, stdout, JSON_INDENT(2));
    putchar('\n');
    json_decref(all);
}

static void print_replay(const struct experiment *was, const struct experiment *is)
{
    char what[128];

    printf("experiment %" PRIu64 " into %s\n", is->index, is->target);
    for (size_t i = 0; i < is->injection.changes; i++) {
        change_print(&is->injection.change[i], what, sizeof what);
        printf("  %s%s%s\n", is->where[i], *is->where[i] ? "  " : "", what);
    }
    if (is->has_fault)
        printf("first fault: %s%s in %s:%s+%#x, task %s, ip 0x%" PRIx64 ", address 0x%" PRIx64 "\n", is->fault.message,
               *is->fault.message ? "," : "", is->fault.cell_name,
               *is->fault.symbol ? is->fault.symbol : is->fault_section, is->fault.offset, is->fault.task_name,
               is->fault.ip, is->fault.address);
    printf("outcome: %s (%s); recorded: %s\n", outcome_word(is->outcome), outcome_meaning(is->outcome),
           outcome_word(was->outcome));
}

static int replay_with(struct database *d, const char *path, uint64_t index, const struct options *o)
{
    struct experiment *was = malloc(sizeof *was), *is = malloc(sizeof *is);
    struct plan plan = {0};
    struct why why = {0};

    if (!was || !is) {
        free(was);
        free(is);
        return cli_fail(CLI_FAILED, "out of memory");
    }
    enum err e = database_get(d, index, was, &why);
    if (!e)
        e = database_plan(d, &plan, &why);
    if (!e)
        e = campaign_replay(d, path, &plan, was, is, &why);
    if (!e)
        (o->json ? print_replay_json : print_replay)(was, is);
    plan_done(&plan);
    free(was);
    free(is);
    return e ? cli_fail(CLI_FAILED, "%s", why.text) : CLI_DONE;
}

static int replay(const char *path, const char *word, const struct options *o)
{
    struct database *d;
    struct why why = {0};
    char *end;
    uint64_t index = strtoull(word, &end, 10);

    if (!*word || *end || *word == '-')
        return cli_fail(CLI_USAGE, "replay DB INDEX: '%s' is not the number of an experiment", word);
    if (database_open(path, DATABASE_READ, &d, &why))
        return cli_fail(CLI_FAILED, "%s", why.text);
    int status = replay_with(d, path, index, o);
    database_close(d);
    return status;
}

static int parse(int argc, char **argv, struct options *o)
{
    static const struct option longs[] = {
        {"output", required_argument, NULL, 'o'}, {"json", no_argument, NULL, 'j'}, {0}};
    int c;

    opterr = 0;
    while ((c = getopt_long(argc, argv, "o:j", longs, NULL)) != -1)
        switch (c) {
        case 'o':
            o->output = optarg;
            break;
        case 'j':
            o->json = true;
            break;
        default:
            return cli_fail(CLI_USAGE, "option '%s' is unknown or lacks its value", argv[optind - 1]);
        }
    return CLI_DONE;
}

int verb_campaign(int argc, char **argv)
{
    static const struct {
        const char *name;
        int (*run)(const char *path, const struct options *options);
    } subverbs[] = {{"check", check}, {"run", run}, {"resume", resume}, {"report", report}};
    struct options o = {0};
    int status = parse(argc, argv, &o);

    if (status)
        return status;
    argc -= optind;
    argv += optind;
    if (argc == 3 && strcmp(argv[0], "replay") == 0)
        return replay(argv[1], argv[2], &o);
    for (size_t i = 0; argc == 2 && i < sizeof subverbs / sizeof *subverbs; i++)
        if (strcmp(argv[0], subverbs[i].name) == 0)
            return subverbs[i].run(argv[1], &o);
    return cli_fail(CLI_USAGE, "%s",
                    argc ? "no such campaign verb, or a wrong number of operands"
                         : "say check, run, resume, report or replay");
}
