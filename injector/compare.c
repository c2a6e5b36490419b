/* See compare.h. */
#include "injector/compare.h"
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Sum of the binomial distribution of one + other throws of a coin, up to the lesser of the two, twice. */
double compare_mcnemar(uint64_t one, uint64_t other)
{
    double n = (double)(one + other), sum = 0;
    uint64_t least = one < other ? one : other;

    for (uint64_t k = 0; k <= least; k++)
        sum += exp(lgamma(n + 1) - lgamma((double)k + 1) - lgamma(n - (double)k + 1) - n * log(2));
    return fmin(1, 2 * sum);
}

static bool is_lost(enum outcome o)
{
    return outcome_is_manifested(o) && !outcome_is_recovered(o);
}

static void add_pair(struct comparison *c, enum outcome_rule rule, bool lost_a, bool lost_b)
{
    c->lost[rule].both += lost_a && lost_b;
    c->lost[rule].only_a += lost_a && !lost_b;
    c->lost[rule].only_b += !lost_a && lost_b;
}

/* Columns: number, target, whether place and change are the same, outcomes of both, strict and as the thesis counts. */
static bool add_row(void *context, const char *const *column)
{
    enum outcome a[OUTCOME_RULES], b[OUTCOME_RULES];
    struct comparison *c = context;

    for (int rule = 0; rule < OUTCOME_RULES; rule++)
        if (!column[3 + 2 * rule] || !outcome_parse(column[3 + 2 * rule], &a[rule]) || !column[4 + 2 * rule] ||
            !outcome_parse(column[4 + 2 * rule], &b[rule]))
            return true;
    if (!column[2] || *column[2] != '1') {
        c->moved++;
        return true;
    }
    c->pairs++;
    for (enum outcome_rule rule = 0; rule < OUTCOME_RULES; rule++)
        add_pair(c, rule, is_lost(a[rule]), is_lost(b[rule]));
    if (is_lost(a[OUTCOME_STRICT]) || !is_lost(b[OUTCOME_STRICT]) || c->rows == COMPARE_ROWS_MAX)
        return true;
    struct comparison_row *row = &c->row[c->rows++];
    row->index = strtoull(column[0], NULL, 10);
    snprintf(row->target, sizeof row->target, "%s", column[1] ? column[1] : "");
    row->a = a[OUTCOME_STRICT];
    row->b = b[OUTCOME_STRICT];
    return true;
}

/* Columns: how many of the first have no partner, how many of the second. */
static bool add_single(void *context, const char *const *column)
{
    struct comparison *c = context;

    c->only_a = column[0] ? strtoull(column[0], NULL, 10) : 0;
    c->only_b = column[1] ? strtoull(column[1], NULL, 10) : 0;
    return true;
}

#define SAME_NUMBER "a.idx = b.idx AND a.part IS b.part AND a.target = b.target AND a.model = b.model"

static const char pairs[] =
    "SELECT a.idx, a.target, p.place IS q.place AND p.keep IS q.keep AND p.sets IS q.sets AND p.flips IS q.flips,"
    " a.outcome, b.outcome, a.outcome_thesis, b.outcome_thesis"
    " FROM main.experiment a JOIN other.experiment b ON " SAME_NUMBER
    " LEFT JOIN main.change p ON p.experiment = a.idx AND p.n = 0"
    " LEFT JOIN other.change q ON q.experiment = b.idx AND q.n = 0 ORDER BY a.idx";
static const char singles[] = "SELECT (SELECT count(*) FROM main.experiment a WHERE NOT EXISTS"
                              " (SELECT 1 FROM other.experiment b WHERE " SAME_NUMBER ")),"
                              "(SELECT count(*) FROM other.experiment b WHERE NOT EXISTS"
                              " (SELECT 1 FROM main.experiment a WHERE " SAME_NUMBER "))";

enum err compare_make(struct database *a, struct database *b, struct comparison *c, struct why *why)
{
    char seed_a[32], seed_b[32];

    memset(c, 0, sizeof *c);
    database_setting(a, "seed", seed_a, sizeof seed_a);
    database_setting(b, "seed", seed_b, sizeof seed_b);
    if (strcmp(seed_a, seed_b) != 0)
        return why_set(why, ERR_INVALID, "the campaigns have the seeds %s and %s: they injected other faults", seed_a,
                       seed_b);
    enum err e = database_attach(a, b, why);
    if (e == ERR_OK)
        e = database_select(a, pairs, add_row, c, why);
    if (e == ERR_OK)
        e = database_select(a, singles, add_single, c, why);
    for (int rule = 0; rule < OUTCOME_RULES; rule++)
        c->lost[rule].p = compare_mcnemar(c->lost[rule].only_a, c->lost[rule].only_b);
    return e;
}
