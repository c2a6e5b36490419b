/* The verbs about snapshots: snapshot, restore, snapshots. */
#include <stdio.h>
#include <string.h>
#include <time.h>
#include "cli/cli.h"
#include "cli/out.h"
#include "cli/target.h"
#include "cli/verbs.h"
#include "vmm/machine/snapshots.h"

static const struct column list_columns[] = {
    {.key = "snapshot", .where = COLUMN_TABLE},
    {.key = "name", .where = COLUMN_JSON},
    {.key = "parent", .where = COLUMN_JSON},
    {.key = "current"},
    {.key = "taken", .where = COLUMN_TABLE},
    {.key = "taken_s", .kind = COLUMN_NUMBER, .where = COLUMN_JSON},
    {.key = "backend"},
    {.key = "cpus", .kind = COLUMN_NUMBER},
    {.key = "ram_bytes", .kind = COLUMN_NUMBER},
    {.key = "pages", .kind = COLUMN_NUMBER},
    {.key = "file_bytes", .kind = COLUMN_NUMBER},
    {.key = "problem"},
    {0},
};

static const struct column restore_columns[] = {
    {.key = "pages", .kind = COLUMN_NUMBER},      {.key = "put_back", .kind = COLUMN_NUMBER},
    {.key = "ns", .kind = COLUMN_NUMBER},         {.key = "audited"},
    {.key = "mismatches", .kind = COLUMN_NUMBER}, {0},
};

/* In the table a snapshot stands two places to the right of its parent. */
static void add_snapshot(struct out *out, const struct snapshot_info *info)
{
    enum { DEPTH_MOST = 20 };
    char text[2 * DEPTH_MOST + MACHINE_NAME_MAX + 1], taken[32] = "";
    unsigned depth = info->depth < DEPTH_MOST ? info->depth : DEPTH_MOST;
    time_t seconds = (time_t)info->taken;
    struct tm when;

    snprintf(text, sizeof text, "%*s%s", (int)(2 * depth), "", info->name);
    if (info->taken && localtime_r(&seconds, &when))
        strftime(taken, sizeof taken, "%F %T", &when);
    out_text(out, text);
    out_text(out, info->name);
    out_text(out, info->parent);
    out_text(out, info->current ? "yes" : "");
    out_text(out, taken);
    out_number(out, info->taken);
    out_text(out, *info->problem ? "" : machine_backend_name(info->backend));
    out_number(out, info->cpus);
    out_number(out, info->ram_bytes);
    out_number(out, info->pages);
    out_number(out, info->file_bytes);
    out_text(out, info->problem);
}

static void print_snapshot(const struct snapshot_info *info, bool json)
{
    OWN(out) struct out *out = out_new(list_columns, json);

    add_snapshot(out, info);
    out_print(out);
}

enum cli_status verb_snapshot(struct call *call)
{
    CLOSED_BY(target_close) struct target t = {0};
    struct snapshot_info info;
    enum cli_status status = target_open(&t, call);

    if (status)
        return status;
    if (snapshots_take(t.machine, call->argc ? call->argv[0] : NULL, &info))
        return cli_fail(CLI_FAILED, "%s", machine_last_error());
    print_snapshot(&info, call->json);
    return CLI_DONE;
}

enum cli_status verb_restore(struct call *call)
{
    CLOSED_BY(target_close) struct target t = {0};
    OWN(out) struct out *out = out_new(restore_columns, call->json);
    struct snapshot_report report;
    enum cli_status status = target_open(&t, call);

    if (status)
        return status;
    enum err e = snapshots_restore(t.machine, call->argv[0], call->audit, &report);
    if (e)
        return cli_fail(e == ERR_NOT_FOUND ? CLI_UNKNOWN : CLI_FAILED, "%s", machine_last_error());
    out_number(out, report.pages);
    out_number(out, report.put_back);
    out_number(out, report.ns);
    out_text(out, report.audited ? "yes" : "no");
    out_number(out, report.mismatches);
    out_print(out);
    if (report.mismatches)
        return cli_fail(CLI_FAILED, "machine '%s' is not as the snapshot in %llu places%s%s", t.name,
                        (unsigned long long)report.mismatches, *report.first ? ": " : "", report.first);
    return CLI_DONE;
}

/* A name is taken as it is: snapshots outlive their machine. */
enum cli_status verb_snapshots(struct call *call)
{
    CLOSED_BY(target_close) struct target t = {0};
    OWN(memory) struct snapshot_info *infos = NULL;
    OWN(out) struct out *out = out_new(list_columns, call->json);
    const char *name = call->machine ? call->machine : call->argc ? call->argv[0] : NULL;
    size_t count = 0;

    if (call->machine && call->argc)
        return cli_fail(CLI_USAGE, "'%s' is one operand too many", call->argv[0]);
    enum cli_status status = name ? CLI_DONE : target_open(&t, call);
    if (status)
        return status;
    if (snapshots_list(name ? name : t.name, &infos, &count))
        return cli_fail(CLI_FAILED, "%s", machine_last_error());
    for (size_t i = 0; i < count; i++)
        add_snapshot(out, &infos[i]);
    out_print(out);
    return CLI_DONE;
}
