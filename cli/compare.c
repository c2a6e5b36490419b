/* `delias campaign compare`: the same faults into two builds. */
#include <inttypes.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include "cli/cli.h"
#include "cli/out.h"
#include "cli/verbs.h"
#include "injector/compare.h"

static const double chance = 0.05; /* below this a difference is none */

static json_t *json_lost(const struct comparison *c, enum outcome_rule rule)
{
    return json_pack("{s:I, s:I, s:I, s:f}", "both", (json_int_t)c->lost[rule].both, "only_a",
                     (json_int_t)c->lost[rule].only_a, "only_b", (json_int_t)c->lost[rule].only_b, "p",
                     c->lost[rule].p);
}

static void print_json(const struct comparison *c)
{
    json_t *rows = json_array();

    for (unsigned i = 0; i < c->rows; i++)
        json_array_append_new(rows, json_pack("{s:I, s:s, s:s, s:s}", "index", (json_int_t)c->row[i].index, "target",
                                              c->row[i].target, "a", outcome_word(c->row[i].a), "b",
                                              outcome_word(c->row[i].b)));
    out_json(json_pack("{s:I, s:I, s:I, s:I, s:o, s:o, s:o}", "pairs", (json_int_t)c->pairs, "moved",
                       (json_int_t)c->moved, "only_a", (json_int_t)c->only_a, "only_b", (json_int_t)c->only_b, "lost",
                       json_lost(c, OUTCOME_STRICT), "lost_thesis", json_lost(c, OUTCOME_THESIS), "rows", rows));
}

static void print_table(const struct comparison *c)
{
    static const char *const rules[OUTCOME_RULES] = {"strict", "as the thesis counts"};

    printf("%" PRIu64 " pairs; %" PRIu64 " at another place, %" PRIu64 " in A only, %" PRIu64 " in B only\n\n",
           c->pairs, c->moved, c->only_a, c->only_b);
    printf("%-22s  %10s  %10s  %10s  %10s\n", "lost", "in both", "only in A", "only in B", "McNemar p");
    for (int rule = 0; rule < OUTCOME_RULES; rule++)
        printf("%-22s  %10" PRIu64 "  %10" PRIu64 "  %10" PRIu64 "  %10.4f\n", rules[rule], c->lost[rule].both,
               c->lost[rule].only_a, c->lost[rule].only_b, c->lost[rule].p);
    for (unsigned i = 0; i < c->rows; i++)
        printf("%slost in B only: %" PRIu64 "  %s -> %s  %s\n", i ? "" : "\n", c->row[i].index,
               outcome_word(c->row[i].a), outcome_word(c->row[i].b), c->row[i].target);
}

enum cli_status campaign_compare(struct call *call)
{
    OWN(memory) struct comparison *c = malloc(sizeof *c);
    OWN(database) struct database *a = NULL, *b = NULL;
    struct why why = {0};

    if (!c)
        return cli_fail(CLI_FAILED, "out of memory");
    if (database_open(call->argv[0], DATABASE_READ, &a, &why) ||
        database_open(call->argv[1], DATABASE_READ, &b, &why) || compare_make(a, b, c, &why))
        return cli_fail(CLI_FAILED, "%s", why.text);
    (call->json ? print_json : print_table)(c);
    if (!c->pairs)
        return cli_fail(CLI_FAILED, "%s and %s have no fault in common", call->argv[0], call->argv[1]);
    if (c->lost[OUTCOME_STRICT].only_b > c->lost[OUTCOME_STRICT].only_a && c->lost[OUTCOME_STRICT].p < chance)
        return cli_fail(CLI_FAILED, "%s loses more than %s, p = %.4f", call->argv[1], call->argv[0],
                        c->lost[OUTCOME_STRICT].p);
    return CLI_DONE;
}
