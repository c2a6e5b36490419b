/* The verb doctor: what machines need on this host, and how those that run are. Changes nothing. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include "cli/cli.h"
#include "cli/files.h"
#include "cli/out.h"
#include "cli/target.h"
#include "cli/verbs.h"

static const struct column columns[] = {{.key = "check"}, {.key = "result"}, {.key = "remark"}, {0}};

enum result { GOOD, NOTE, BAD };

struct doctor {
    struct out *out;
    bool failed;
};

static void add_result(struct doctor *d, const char *check, enum result result, const char *remark)
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

    add_result(d, "backend", backend == MACHINE_KVM ? GOOD : NOTE, why);
}

static void check_program(struct doctor *d, const char *name, const char *remedy)
{
    OWN(memory) char *copy = strdup(getenv("PATH") ? getenv("PATH") : "");
    char path[4096], *save = NULL;
    bool found = false;

    for (char *folder = copy ? strtok_r(copy, ":", &save) : NULL; folder && !found;
         folder = strtok_r(NULL, ":", &save)) {
        snprintf(path, sizeof path, "%s/%s", folder, name);
        found = access(path, X_OK) == 0;
    }
    add_result(d, name, found ? GOOD : BAD, found ? path : remedy);
}

static void check_file(struct doctor *d, const char *name)
{
    char path[MACHINE_PATH_MAX], remark[MACHINE_PATH_MAX + 64];

    files_path(name, path, sizeof path);
    bool found = access(path, R_OK) == 0;
    snprintf(remark, sizeof remark, "%s%s", path, found ? "" : " is not there: run `make all`");
    add_result(d, name, found ? GOOD : BAD, remark);
}

/* Judges the guest of an open machine. */
static enum result check_guest(struct target *t, char *ret_remark, size_t bytes)
{
    if (target_map(t, false) || target_look(t)) {
        snprintf(ret_remark, bytes, "its arena cannot be read");
        return BAD;
    }
    size_t damages = view_damage_count(t->view);
    snprintf(ret_remark, bytes, "%s, %zu cells, %zu tasks, %zu damages in the arena%s", machine_info(t->machine)->state,
             view_count(t->view, ARENA_CELLS), view_count(t->view, ARENA_TASKS), damages,
             view_header(t->view)->ready ? "" : ", still booting");
    return damages || view_is_torn(t->view) ? BAD : GOOD;
}

static void check_machine(struct doctor *d, const struct machine_info *info)
{
    CLOSED_BY(target_close) struct target t = {0};
    char check[64], remark[256];

    snprintf(check, sizeof check, "machine %s", info->name);
    snprintf(t.name, sizeof t.name, "%s", info->name);
    if (strcmp(info->state, "dead") == 0) {
        add_result(d, check, NOTE, "has ended; its folder goes with the next start, or with `delias stop`");
    } else if (machine_open(info->name, &t.machine) || machine_refresh(t.machine)) {
        add_result(d, check, BAD, machine_last_error());
    } else {
        enum result result = check_guest(&t, remark, sizeof remark);
        add_result(d, check, result, remark);
    }
}

static void check_machines(struct doctor *d)
{
    OWN(memory) struct machine_info *infos = NULL;
    size_t count = 0;

    if (machine_list(&infos, &count)) {
        add_result(d, "run directory", BAD, machine_last_error());
        return;
    }
    add_result(d, "run directory", GOOD, "private to this user");
    for (size_t i = 0; i < count; i++)
        check_machine(d, &infos[i]);
}

enum cli_status verb_doctor(struct call *call)
{
    OWN(out) struct out *out = out_new(columns, call->json);
    struct doctor d = {.out = out};

    check_backend(&d);
    check_program(&d, "qemu-system-x86_64", "is not in PATH: run `make deps`, or install qemu-system-x86");
    check_file(&d, "delias.elf");
    check_file(&d, "cells.archive");
    check_machines(&d);
    out_print(out);
    return d.failed ? CLI_FAILED : CLI_DONE;
}
