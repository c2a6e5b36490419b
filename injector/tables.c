/* See tables.h. */
#include "injector/tables.h"
#include "injector/report.h"
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

/* Sums of one group of experiments. */
struct group {
    uint64_t injected, activated; /* a fault that manifested was activated, whether that was seen or not */
    bool activation_known;        /* of all */
    uint64_t manifested[OUTCOME_RULES], recovered[OUTCOME_RULES];
    uint64_t outcome[OUTCOME_RULES][OUTCOME_COUNT], cause[OUTCOME_RULES][CAUSE_COUNT];
};

static enum cause cause_of(const char *word)
{
    for (enum cause c = 0; word && c < CAUSE_COUNT; c++)
        if (strcmp(word, outcome_cause_word(c)) == 0)
            return c;
    return CAUSE_NONE;
}

/* Columns of a row: the group, activated, two outcomes, two causes, how many. */
#define SELECT_GROUPS(by)                                                                                              \
    "SELECT " by ", activated, outcome, outcome_thesis, cause, cause_thesis, count(*) FROM experiment "                \
    "GROUP BY 1, 2, 3, 4, 5, 6 ORDER BY 1"

static void add_row(struct group *g, const char *const *column)
{
    uint64_t count = column[6] ? strtoull(column[6], NULL, 10) : 0;
    enum outcome outcome[OUTCOME_RULES];

    for (int rule = 0; rule < OUTCOME_RULES; rule++)
        if (!column[2 + rule] || !outcome_parse(column[2 + rule], &outcome[rule]))
            return;
    g->injected += count;
    g->activation_known &= column[1] != NULL;
    if ((column[1] && strcmp(column[1], "1") == 0) || outcome_is_manifested(outcome[OUTCOME_STRICT]))
        g->activated += count;
    for (int rule = 0; rule < OUTCOME_RULES; rule++) {
        g->manifested[rule] += outcome_is_manifested(outcome[rule]) ? count : 0;
        g->recovered[rule] += outcome_is_recovered(outcome[rule]) ? count : 0;
        g->outcome[rule][outcome[rule]] += count;
        g->cause[rule][cause_of(column[4 + rule])] += count;
    }
}

static void print_share(FILE *to, uint64_t hits, uint64_t of)
{
    double low, high;

    report_wilson(hits, of, &low, &high);
    if (of)
        fprintf(to, " %.1f%% (%.1f to %.1f) |", 100 * (double)hits / (double)of, 100 * low, 100 * high);
    else
        fputs(" - |", to);
}

static void print_group(FILE *to, const char *name, const struct group *g)
{
    uint64_t lost = g->manifested[OUTCOME_STRICT] - g->recovered[OUTCOME_STRICT];

    fprintf(to, "| %s | %" PRIu64 " |", name, g->injected);
    fprintf(to, g->activation_known ? " %" PRIu64 " |" : " - |", g->activated);
    fprintf(to, " %" PRIu64 " | %" PRIu64 " |", g->manifested[OUTCOME_STRICT], g->recovered[OUTCOME_STRICT]);
    print_share(to, g->recovered[OUTCOME_STRICT], g->manifested[OUTCOME_STRICT]);
    print_share(to, g->activated - lost, g->activation_known ? g->activated : 0);
    print_share(to, g->injected - lost, g->injected);
    fprintf(to, " %" PRIu64 " of %" PRIu64 " |", g->recovered[OUTCOME_THESIS], g->manifested[OUTCOME_THESIS]);
    print_share(to, g->recovered[OUTCOME_THESIS], g->manifested[OUTCOME_THESIS]);
    fputc('\n', to);
}

/* Prints a line for each group, from rows in their order. */
struct printer {
    FILE *to;
    char name[PLAN_TEXT_MAX];
    bool begun;
    struct group group, *all;
};

static void end_group(struct printer *p)
{
    if (p->begun)
        print_group(p->to, p->name, &p->group);
}

/* "thesis/graphics.yaml" is called "graphics". */
static void copy_name(char ret_name[PLAN_TEXT_MAX], const char *text)
{
    const char *slash = text ? strrchr(text, '/') : NULL, *name = slash ? slash + 1 : text ? text : "";
    const char *dot = strstr(name, ".yaml");

    snprintf(ret_name, PLAN_TEXT_MAX, "%.*s", dot ? (int)(dot - name) : (int)strlen(name), name);
}

static bool print_row(void *context, const char *const *column)
{
    struct printer *p = context;
    char name[PLAN_TEXT_MAX];

    copy_name(name, column[0]);
    if (!p->begun || strcmp(name, p->name) != 0) {
        end_group(p);
        memcpy(p->name, name, sizeof name);
        p->group = (struct group){.activation_known = true};
        p->begun = true;
    }
    add_row(&p->group, column);
    add_row(p->all, column);
    return true;
}

static enum err print_groups(struct database *d, FILE *to, const char *title, const char *sql, struct group *ret_all,
                             struct why *why)
{
    struct printer p = {.to = to, .all = ret_all};

    *ret_all = (struct group){.activation_known = true};
    fprintf(
        to,
        "\n| %s | injected | activated | manifested | recovered | of manifested | not lost, of activated | not lost, "
        "of injected | as the thesis counts | of manifested |\n|---|---|---|---|---|---|---|---|---|---|\n",
        title);
    enum err e = database_select(d, sql, print_row, &p, why);
    end_group(&p);
    if (e == ERR_OK)
        print_group(to, "in all", ret_all);
    return e;
}

/* Table 9.1 of the thesis, line by line; what it has no line for is 0 there. */
static void print_thesis(FILE *to, const struct group *g)
{
    static const struct {
        enum cause cause;
        unsigned thesis;
    } lost[] = {{CAUSE_UNWINDING, 94}, {CAUSE_HUNG, 30},   {CAUSE_REPLACEMENT, 18},
                {CAUSE_UNWINDER, 62},  {CAUSE_MACHINE, 0}, {CAUSE_RESULT, 0}};
    const uint64_t *m = g->manifested, *r = g->recovered;

    fputs("\n| table 9.1 | the thesis | strict | as the thesis counts |\n|---|---|---|---|\n| recovered | 461 of 665 |",
          to);
    for (int rule = 0; rule < OUTCOME_RULES; rule++)
        fprintf(to, " %" PRIu64 " of %" PRIu64 " |", r[rule], m[rule]);
    fputs("\n| of manifested |", to);
    print_share(to, 461, 665);
    for (int rule = 0; rule < OUTCOME_RULES; rule++)
        print_share(to, r[rule], m[rule]);
    fprintf(to, "\n| - restart task | 50 | %" PRIu64 " | %" PRIu64 " |\n", g->outcome[OUTCOME_STRICT][OUTCOME_RESTART],
            g->outcome[OUTCOME_THESIS][OUTCOME_RESTART]);
    fprintf(to, "| - reload cell | 411 | %" PRIu64 " | %" PRIu64 " |\n", g->outcome[OUTCOME_STRICT][OUTCOME_RELOAD],
            g->outcome[OUTCOME_THESIS][OUTCOME_RELOAD]);
    fprintf(to, "| lost | 204 | %" PRIu64 " | %" PRIu64 " |\n", m[OUTCOME_STRICT] - r[OUTCOME_STRICT],
            m[OUTCOME_THESIS] - r[OUTCOME_THESIS]);
    for (size_t i = 0; i < sizeof lost / sizeof *lost; i++)
        fprintf(to, "| - %s: %s | %u | %" PRIu64 " | %" PRIu64 " |\n", outcome_cause_word(lost[i].cause),
                outcome_cause_meaning(lost[i].cause), lost[i].thesis, g->cause[OUTCOME_STRICT][lost[i].cause],
                g->cause[OUTCOME_THESIS][lost[i].cause]);
}

/* Columns: index, part, model, place, outcome, cause, cell, symbol and message of the fault that was not recovered, or
 * of the first one. */
static bool print_lost(void *context, const char *const *column)
{
    FILE *to = context;
    char part[PLAN_TEXT_MAX];

    copy_name(part, column[1]);
    fprintf(to, "| %s | %s | %s |", column[0], part, column[2] ? column[2] : "");
    for (int i = 3; i < 6; i++)
        fprintf(to, " %s |", column[i] ? column[i] : "");
    fprintf(to, " %s%s%s%s%s |\n", column[6] ? column[6] : "none logged", column[7] && *column[7] ? ":" : "",
            column[7] ? column[7] : "", column[8] && *column[8] ? ", " : "", column[8] ? column[8] : "");
    return true;
}

enum err tables_print(struct database *d, FILE *to, struct why *why)
{
    static const struct {
        const char *title, *sql;
    } tables[] = {{"model", SELECT_GROUPS("model")},
                  {"workload", SELECT_GROUPS("part")},
                  {"what was changed", SELECT_GROUPS("kind")}};
    char build_id[64], backend[16];
    struct group all;
    enum err e = ERR_OK;

    database_setting(d, "build_id", build_id, sizeof build_id);
    database_setting(d, "backend", backend, sizeof backend);
    fprintf(to, "Image %s, %s; rates with 95%% intervals.\n", build_id, backend);
    for (size_t i = 0; i < sizeof tables / sizeof *tables && e == ERR_OK; i++)
        e = print_groups(d, to, tables[i].title, tables[i].sql, &all, why);
    if (e != ERR_OK)
        return e;
    print_thesis(to, &all);
    fputs("\n| lost | workload | model | place | outcome | cause | fault |\n|---|---|---|---|---|---|---|\n", to);
    return database_select(d,
                           "SELECT idx, part, model, place, outcome, cause, ifnull(lost_cell, fault_cell), "
                           "ifnull(lost_symbol, fault_symbol), ifnull(lost_message, fault_message) FROM experiment "
                           "LEFT JOIN change ON experiment = idx AND n = 0 "
                           "WHERE outcome NOT IN ('benign', 'restart', 'reload') ORDER BY idx",
                           print_lost, to, why);
}
