/* The verb verify: what differs from what the loader wrote, and which records of the arena are damaged. */
#include <inttypes.h>
#include <jansson.h>
#include <stdio.h>
#include "cli/cli.h"
#include "cli/reading.h"
#include "cli/verbs.h"
#include "introspect/name.h"
#include "introspect/verify.h"

static const struct column difference_columns[] = {
    {.key = "cell"},
    {.key = "namespace"},
    {.key = "section"},
    {.key = "offset", .kind = COLUMN_NUMBER},
    {.key = "expected", .kind = COLUMN_NUMBER},
    {.key = "found", .kind = COLUMN_NUMBER},
    {0},
};

static const char *damage_table(const struct view_damage *d)
{
    return d->table == ARENA_TABLES ? "header" : name_table(d->table);
}

static json_t *differing_json(const struct verify_report *report)
{
    json_t *all = json_array();

    for (size_t i = 0; i < report->differing_kept; i++) {
        const struct verify_difference *d = &report->differing[i];

        json_array_append_new(all, json_pack("{s:s, s:s, s:s, s:I, s:i, s:i}", "cell", d->cell, "namespace",
                                             d->namespace_, "section", d->section, "offset", (json_int_t)d->offset,
                                             "expected", d->expected, "found", d->found));
    }
    return all;
}

static json_t *skipped_json(const struct verify_report *report)
{
    json_t *all = json_array();

    for (size_t i = 0; i < report->skipped_kept; i++) {
        const struct verify_skip *s = &report->skipped[i];

        json_array_append_new(all, json_pack("{s:s, s:s, s:s, s:s}", "cell", s->cell, "namespace", s->namespace_,
                                             "section", s->section, "why", s->why));
    }
    return all;
}

static json_t *damage_json(const struct view *view)
{
    json_t *all = json_array();
    const struct view_damage *d;

    for (size_t i = 0; (d = view_damage(view, i)); i++)
        json_array_append_new(all, json_pack("{s:s, s:I, s:s}", "table", damage_table(d), "index", (json_int_t)d->index,
                                             "text", d->text));
    return all;
}

static void print_report_json(const struct reading *r, const struct verify_report *report)
{
    json_t *o = json_pack("{s:I, s:I, s:o, s:o, s:o}", "sections", (json_int_t)report->sections, "bytes",
                          (json_int_t)report->bytes, "differing", differing_json(report), "skipped",
                          skipped_json(report), "damage", damage_json(r->view));

    out_json(o);
}

static void print_report_text(struct reading *r, const struct verify_report *report)
{
    const struct view_damage *d;

    for (size_t i = 0; i < report->differing_kept; i++) {
        const struct verify_difference *difference = &report->differing[i];

        out_text(r->out, difference->cell);
        out_text(r->out, difference->namespace_);
        out_text(r->out, difference->section);
        out_number(r->out, difference->offset);
        out_number(r->out, difference->expected);
        out_number(r->out, difference->found);
    }
    if (report->differing_kept)
        out_print(r->out);
    for (size_t i = 0; i < report->skipped_kept; i++)
        printf("not compared: %s/%s:%s: %s\n", report->skipped[i].namespace_, report->skipped[i].cell,
               report->skipped[i].section, report->skipped[i].why);
    for (size_t i = 0; (d = view_damage(r->view, i)); i++)
        printf("arena: %s %u: %s\n", damage_table(d), d->index, d->text);
    printf("%" PRIu64 " sections, %" PRIu64 " bytes compared: %zu differ", report->sections, report->bytes,
           report->differing_count);
    if (report->skipped_count)
        printf("; %zu not compared", report->skipped_count);
    if (view_damage_count(r->view))
        printf("; %zu damages in the arena", view_damage_count(r->view));
    printf("\n");
    if (report->changing && report->differing_count)
        printf("The guest kept changing its cells meanwhile: run it again.\n");
}

static enum cli_status fill_verify(struct reading *r)
{
    const struct machine_info *info = machine_info(r->target->machine);
    CLOSED_BY(verify_done) struct verify_report report = {0};
    struct verify_scope scope = {.kernel = info->kernel, .archive = info->archive};
    struct qualified name;

    if (r->call->argc) {
        enum cli_status status;

        if (!target_cell(r->target, r->call->argv[0], &status).index)
            return status;
        if (!qualified_parse(r->call->argv[0], &name))
            return CLI_UNKNOWN;
        scope.only = &name;
    }
    enum err e = verify_run(r->target->ram, r->target->ram_bytes, &scope, &report);
    if (e)
        return cli_fail(CLI_FAILED, "machine %s: %s", r->target->name, err_text(e));
    if (r->call->json)
        print_report_json(r, &report);
    else
        print_report_text(r, &report);
    r->failed = report.differing_count || view_damage_count(r->view);
    return CLI_DONE;
}

static void print_nothing(struct reading *r)
{
    (void)r;
}

enum cli_status verb_verify(struct call *call)
{
    static const struct reading_rule rule = {difference_columns, fill_verify, false, print_nothing};

    return reading_run(call, &rule);
}
