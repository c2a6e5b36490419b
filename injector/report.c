/* See report.h. */
#include "injector/report.h"
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

void report_wilson(uint64_t hits, uint64_t n, double *ret_low, double *ret_high)
{
    const double z = 1.959963984540054;

    if (n == 0) {
        *ret_low = 0;
        *ret_high = 1;
        return;
    }
    double p = (double)hits / (double)n, m = (double)n;
    double middle = (p + z * z / (2 * m)) / (1 + z * z / m);
    double half = z / (1 + z * z / m) * sqrt(p * (1 - p) / m + z * z / (4 * m * m));
    *ret_low = hits == 0 ? 0 : fmax(0, middle - half);
    *ret_high = hits == n ? 1 : fmin(1, middle + half);
}

static void add_to_rate(struct report_rate *rate, enum outcome outcome, uint64_t count)
{
    if (outcome_is_manifested(outcome))
        rate->manifested += count;
    if (outcome_is_recovered(outcome))
        rate->recovered += count;
}

static void add_count(void *context, const char *target, const enum outcome outcomes[OUTCOME_RULES], uint64_t count)
{
    enum outcome outcome = outcomes[OUTCOME_STRICT];
    struct report *r = context;
    unsigned i = 0;

    while (i < r->targets && strcmp(r->target[i].words, target) != 0)
        i++;
    if (i == PLAN_TARGETS_MAX)
        return;
    if (i == r->targets) {
        snprintf(r->target[i].words, sizeof r->target[i].words, "%s", target);
        r->targets++;
    }
    r->target[i].count[outcome] += count;
    r->count[outcome] += count;
    r->done += count;
    for (enum outcome_rule rule = 0; rule < OUTCOME_RULES; rule++)
        add_to_rate(&r->rate[rule], outcomes[rule], count);
}

static void add_moment(void *context, const char *function, const enum outcome outcomes[OUTCOME_RULES], uint64_t count)
{
    enum outcome outcome = outcomes[OUTCOME_STRICT];
    struct report_moments *r = context;
    unsigned i = 0;

    if (!*function) {
        r->missed += count;
        return;
    }
    while (i < r->moments && strcmp(r->moment[i].function, function) != 0)
        i++;
    if (i == PLAN_TARGETS_MAX)
        return;
    if (i == r->moments) {
        snprintf(r->moment[i].function, sizeof r->moment[i].function, "%s", function);
        r->moments++;
    }
    r->moment[i].count[outcome] += count;
    add_to_rate(&r->rate, outcome, count);
}

/* Columns: target, what was left, how many. */
static bool add_residue(void *context, const char *const *column)
{
    uint64_t count = column[2] ? strtoull(column[2], NULL, 10) : 0;
    struct report_residue *r = context;

    r->known += count;
    if (!column[1] || !*column[1]) {
        r->clean += count;
    } else if (r->rows < PLAN_TARGETS_MAX) {
        snprintf(r->row[r->rows].target, PLAN_TEXT_MAX, "%s", column[0] ? column[0] : "");
        snprintf(r->row[r->rows].left, PLAN_TEXT_MAX, "%s", column[1]);
        r->row[r->rows++].count = count;
    }
    return true;
}

static void finish_rate(struct report_rate *rate)
{
    if (rate->manifested)
        rate->rate = (double)rate->recovered / (double)rate->manifested;
    report_wilson(rate->recovered, rate->manifested, &rate->low, &rate->high);
}

enum err report_make(struct database *database, struct report *ret_report, struct why *why)
{
    char count[32];

    memset(ret_report, 0, sizeof *ret_report);
    enum err e = database_tally(database, add_count, ret_report, why);
    if (e == ERR_OK)
        e = database_tally_moments(database, add_moment, &ret_report->moments, why);
    if (e == ERR_OK && database_has_residue(database))
        e = database_select(database,
                            "SELECT target, residue, count(*) FROM experiment WHERE residue IS NOT NULL "
                            "GROUP BY 1, 2 ORDER BY 1, 2",
                            add_residue, &ret_report->residue, why);
    if (e != ERR_OK)
        return e;
    database_setting(database, "build_id", ret_report->build_id, sizeof ret_report->build_id);
    database_setting(database, "seed", ret_report->seed, sizeof ret_report->seed);
    database_setting(database, "model", ret_report->model, sizeof ret_report->model);
    database_setting(database, "backend", ret_report->backend, sizeof ret_report->backend);
    database_setting(database, "count", count, sizeof count);
    ret_report->planned = strtoull(count, NULL, 10);
    uint64_t ms = database_time_ms(database);
    ret_report->per_second = ms ? 1000.0 * (double)ret_report->done / (double)ms : 0;
    for (enum outcome_rule rule = 0; rule < OUTCOME_RULES; rule++)
        finish_rate(&ret_report->rate[rule]);
    finish_rate(&ret_report->moments.rate);
    return ERR_OK;
}
