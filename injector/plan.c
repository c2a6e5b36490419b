/* See plan.h. */
#include "injector/plan.h"
#include "introspect/base/settings.h"
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { COUNT_MAX = 100000000, JITTER_SWITCHES_MAX = 10000 };

static const char *const keys[] = {"machine",    "targets", "model",           "count",    "seed",
                                   "timeout_ms", "boot_ms", "warmup_rounds",   "rounds",   "jitter_ms",
                                   "accel",      "exact",   "jitter_switches", "workload", NULL};
static const char *const needed[] = {"machine", "targets", "model", "count", "seed"};

static void apply_numbers(struct settings *s, struct plan *p)
{
    p->count = settings_number(s, "count", 1, COUNT_MAX, 0);
    p->seed = settings_number(s, "seed", 0, UINT64_MAX, 0);
    p->timeout_ms = (unsigned)settings_number(s, "timeout_ms", 1, UINT32_MAX, 10000);
    p->boot_ms = (unsigned)settings_number(s, "boot_ms", 1, UINT32_MAX, 60000);
    p->warmup_rounds = (unsigned)settings_number(s, "warmup_rounds", 1, UINT32_MAX, 1);
    p->rounds = (unsigned)settings_number(s, "rounds", 1, UINT32_MAX, 3);
    p->jitter_ms = (unsigned)settings_number(s, "jitter_ms", 0, UINT32_MAX, 0);
    p->exact = settings_switch(s, "exact", false);
    p->jitter_switches = (unsigned)settings_number(s, "jitter_switches", 0, JITTER_SWITCHES_MAX, 0);
}

static void apply_model(struct settings *s, struct plan *p)
{
    const char *words = settings_text(s, "model", 1, PLAN_WORDS - 1);
    struct why why = {0};

    if (!words)
        return;
    if (model_parse(words, &p->model, &why) != ERR_OK)
        settings_refuse(s, "model", 0, "%s", why.text);
    strcpy(p->model_words, words);
}

static void apply_targets(struct settings *s, struct plan *p)
{
    p->targets = (unsigned)settings_list(s, "targets", PLAN_TARGETS_MAX, PLAN_WORDS - 1);
    for (unsigned i = 0; i < p->targets; i++) {
        const char *words = settings_item(s, "targets", i);
        struct why why = {0};

        if (place_parse(words, &p->target[i].place, &why) != ERR_OK)
            settings_refuse(s, "targets", i, "%s", why.text);
        p->target[i].line = settings_line(s, "targets", i);
        strcpy(p->target[i].words, words);
    }
}

/* Appends "workload=WORD,WORD" for the parts of a list. */
static void apply_workload_list(struct settings *s, struct plan *p)
{
    size_t count = settings_list(s, "workload", PARTS, PLAN_WORDS - 1), used = strlen(p->machine.cmdline);

    for (size_t i = 0; i < count; i++) {
        const char *word = settings_item(s, "workload", i);
        uint32_t parts = workload_parts_of(word, strlen(word));

        if (!parts)
            settings_refuse(s, "workload", i, "'%s' is no part of the workload; guest/abi/workload.h lists them", word);
        p->workload |= parts;
        used += (size_t)snprintf(p->machine.cmdline + used, sizeof p->machine.cmdline - used, "%s%s",
                                 i ? "," : " workload=", word);
        if (used >= sizeof p->machine.cmdline) {
            settings_refuse(s, "workload", i, "the machine's command line is full");
            return;
        }
    }
}

/* By the key, or by the machine's command line. */
static void apply_workload(struct settings *s, struct plan *p)
{
    const char *option = strstr(p->machine.cmdline, "workload=");
    char words[PLAN_WORDS];

    if (settings_has(s, "workload") && option)
        settings_refuse(s, "workload", 0, "is on the machine's command line too");
    else if (settings_has(s, "workload"))
        apply_workload_list(s, p);
    else if (option) {
        option += strlen("workload=");
        snprintf(words, sizeof words, "%.*s", (int)strcspn(option, " "), option);
        p->workload = workload_parse(words);
        if (!p->workload)
            settings_refuse(s, "machine", 0, "workload=%s: guest/abi/workload.h lists its parts", words);
    } else {
        p->workload = WORKLOAD_DEFAULT;
    }
}

/* Whether the machine's files are there. Refuses the key that names the machine. */
static enum err check_files(struct settings *s, const struct machine_config *c)
{
    const struct {
        const char *what, *path;
    } files[] = {{"kernel", c->kernel}, {"archive", c->archive}};

    for (size_t i = 0; i < sizeof files / sizeof *files; i++)
        if ((i == 0 || *files[i].path) && access(files[i].path, R_OK) != 0) {
            settings_refuse(s, "machine", 0, "%s %s: %s; `make` builds it", files[i].what, files[i].path,
                            strerror(errno));
            return ERR_NOT_FOUND;
        }
    return ERR_OK;
}

/* With several CPUs the order in which they run is the host's; so are other moments. */
static enum err check_exact(struct settings *s, const struct plan *p)
{
    if (p->exact && (!p->machine.icount || p->machine.cpus != 1))
        settings_refuse(s, "exact", 0, "needs icount: yes and cpus: 1 in the machine file");
    else if (p->exact && p->jitter_ms)
        settings_refuse(s, "jitter_ms", 0, "is time of the host; with exact it is jitter_switches");
    else if (p->exact && p->model.model->holds)
        settings_refuse(s, "model", 0, "%s is made true again by the host, now and then; not with exact",
                        p->model_words);
    else if (!p->exact && p->jitter_switches)
        settings_refuse(s, "jitter_switches", 0, "needs exact: yes");
    return settings_error(s) ? ERR_INVALID : ERR_OK;
}

static enum err apply_machine(struct settings *s, struct plan *p)
{
    const char *file = settings_text(s, "machine", 1, MACHINE_PATH_MAX - 1);
    const char *accel = settings_text(s, "accel", 1, 16);
    char path[2 * MACHINE_PATH_MAX];

    if (!file || settings_error(s))
        return ERR_INVALID;
    snprintf(path, sizeof path, "%s%s%s", file[0] == '/' ? "" : p->folder, file[0] == '/' ? "" : "/", file);
    enum err e = machine_config_load(path, &p->machine);
    if (e != ERR_OK) {
        settings_refuse(s, "machine", 0, "%s", machine_last_error());
        return e;
    }
    if (accel && machine_backend_parse(accel, &p->machine.backend) != ERR_OK) {
        settings_refuse(s, "accel", 0, "%s", machine_last_error());
        return ERR_INVALID;
    }
    apply_workload(s, p);
    e = check_exact(s, p);
    return e == ERR_OK ? check_files(s, &p->machine) : e;
}

static enum err apply_plan_file(struct settings *s, struct plan *p)
{
    for (size_t i = 0; i < sizeof needed / sizeof *needed; i++)
        settings_need(s, needed[i]);
    apply_model(s, p);
    apply_numbers(s, p);
    apply_targets(s, p);
    return settings_error(s) ? ERR_INVALID : apply_machine(s, p);
}

enum err plan_parse(const char *name, const char *text, const char *folder, struct plan *ret_plan, struct why *why)
{
    OWN(settings) struct settings *settings = settings_parse(name, text, keys);
    OWN(memory) struct plan *plan = calloc(1, sizeof *plan);
    OWN(memory) char *copy = strdup(text);

    if (!plan || !settings || !copy)
        return why_set(why, ERR_NOMEM, "out of memory");
    if ((size_t)snprintf(plan->folder, sizeof plan->folder, "%s", folder) >= sizeof plan->folder)
        return why_set(why, ERR_RANGE, "%s: its folder has a path of more than %zu bytes", name,
                       sizeof plan->folder - 1);
    if (!settings_error(settings) && settings_is_empty(settings))
        return why_set(why, ERR_INVALID, "%s: is empty; configs/campaigns/quick.yaml shows every key", name);
    enum err e = apply_plan_file(settings, plan);
    if (e != ERR_OK)
        return why_set(why, e, "%s", settings_error(settings));
    *ret_plan = *plan;
    ret_plan->text = MOVE(copy);
    return ERR_OK;
}

enum err plan_load(const char *path, struct plan *ret_plan, struct why *why)
{
    char reason[SETTINGS_WHY];
    OWN(memory) char *text = settings_file(path, reason);
    OWN(memory) char *folder = text ? realpath(path, NULL) : NULL;

    if (!text)
        return why_set(why, ERR_NOT_FOUND, "campaign file %s: %s", path, reason);
    if (!folder)
        return why_set(why, ERR_NOT_FOUND, "campaign file %s: is in no folder, from which its paths could be taken",
                       path);
    *strrchr(folder, '/') = '\0';
    return plan_parse(path, text, *folder ? folder : "/", ret_plan, why);
}

void plan_done(struct plan *plan)
{
    free(plan->text);
    *plan = (struct plan){0};
}
