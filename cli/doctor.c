/* The verb doctor: what machines need on this host, and how those that run are. Changes nothing. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include "cli/cli.h"
#include "cli/out.h"
#include "cli/target.h"
#include "cli/verbs.h"

static const struct column columns[] = {
    {"check", COLUMN_TEXT, 0}, {"result", COLUMN_TEXT, 0}, {"remark", COLUMN_TEXT, 0}, {0}};

enum result { GOOD, NOTE, BAD };

struct doctor {
    struct out *out;
    bool failed;
};

static void say(struct doctor *d, const char *check, enum result result, const char *remark)
{
    static const char *const words[] = {[GOOD] = "good", [NOTE] = "note", [BAD] = "bad"};

    out_text(d->out, check);
    out_text(d->out, words[result]);
    out_text(d->out, remark);
    d->failed = d->failed || result == BAD;
}

static void check_backend(struct doctor *d)
{
    char why[256];
    enum machine_backend backend = machine_probe(why, sizeof why);

    say(d, "backend", backend == MACHINE_KVM ? GOOD : NOTE, why);
}

static void check_program(struct doctor *d, const char *name, const char *remedy)
{
    char path[4096], *save = NULL, *copy = strdup(getenv("PATH") ? getenv("PATH") : "");
    bool found = false;

    for (char *folder = copy ? strtok_r(copy, ":", &save) : NULL; folder && !found;
         folder = strtok_r(NULL, ":", &save)) {
        snprintf(path, sizeof path, "%s/%s", folder, name);
        found = access(path, X_OK) == 0;
    }
    free(copy);
    say(d, name, found ? GOOD : BAD, found ? path : remedy);
}

static void check_file(struct doctor *d, const char *name)
{
    char path[MACHINE_PATH_MAX], remark[MACHINE_PATH_MAX + 64];

    cli_build_file(name, path, sizeof path);
    bool found = access(path, R_OK) == 0;
    snprintf(remark, sizeof remark, "%s%s", path, found ? "" : " is not there: run `make all`");
    say(d, name, found ? GOOD : BAD, remark);
}

static void check_machine(struct doctor *d, const struct machine_info *info)
{
    char check[64], remark[256];
    struct target t = {0};

    snprintf(check, sizeof check, "machine %s", info->name);
    snprintf(t.name, sizeof t.name, "%s", info->name);
    if (strcmp(info->state, "dead") == 0) {
        say(d, check, NOTE, "has ended; its folder goes with the next start, or with `delias stop`");
        return;
    }
    if (machine_open(info->name, &t.machine)) {
        say(d, check, BAD, machine_last_error());
        return;
    }
    if (machine_refresh(t.machine)) {
        say(d, check, BAD, machine_last_error());
    } else if (target_map(&t, false) || target_look(&t)) {
        say(d, check, BAD, "its arena cannot be read");
    } else {
        size_t damages = view_damage_count(t.view);
        snprintf(remark, sizeof remark, "%s, %zu cells, %zu tasks, %zu damaged records in the arena%s",
                 machine_info(t.machine)->state, view_count(t.view, ARENA_CELLS), view_count(t.view, ARENA_TASKS),
                 damages, view_header(t.view)->ready ? "" : ", still booting");
        say(d, check, damages || view_is_torn(t.view) ? BAD : GOOD, remark);
    }
    target_close(&t);
}

static void check_machines(struct doctor *d)
{
    struct machine_info *infos = NULL;
    size_t count = 0;

    if (machine_list(&infos, &count)) {
        say(d, "run directory", BAD, machine_last_error());
        return;
    }
    say(d, "run directory", GOOD, "private to this user");
    for (size_t i = 0; i < count; i++)
        check_machine(d, &infos[i]);
    free(infos);
}

int verb_doctor(int argc, char **argv)
{
    struct doctor d = {0};
    bool json;
    int status = cli_parse_json(argc, argv, &json);

    if (status)
        return status;
    d.out = out_new(columns, json);
    check_backend(&d);
    check_program(&d, "qemu-system-x86_64", "is not in PATH: run `make deps`, or install qemu-system-x86");
    check_file(&d, "delias.elf");
    check_file(&d, "cells.archive");
    check_machines(&d);
    out_print(d.out);
    out_free(d.out);
    return d.failed ? CLI_FAILED : CLI_DONE;
}
