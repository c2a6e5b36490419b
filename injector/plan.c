/* See plan.h. */
#include "injector/plan.h"
#include "introspect/base/number.h"
#include "introspect/base/settings.h"
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum {
    COUNT_MAX = 100000000,
    JITTER_SWITCHES_MAX = 10000,
    MOMENT_STEPS_MAX = 20000,
    WEIGHT_MAX = 1000,
    IN_A_ROW = 50 /* unless the file says how many */
};

static const char *const keys[] = {"machine",
                                   "targets",
                                   "model",
                                   "count",
                                   "seed",
                                   "timeout_ms",
                                   "boot_ms",
                                   "warmup_rounds",
                                   "rounds",
                                   "jitter_ms",
                                   "accel",
                                   "exact",
                                   "jitter_switches",
                                   "workload",
                                   "models",
                                   "model_weights",
                                   "parts",
                                   "until_manifested",
                                   "until_half_width",
                                   "in_a_row",
                                   "during",
                                   "moments",
                                   "moment_steps",
                                   "first",
                                   "first_model",
                                   NULL};
static const char *const needed[] = {"machine", "targets", "seed"};
/* Of a campaign that is made of others. The rest is theirs. */
static const char *const of_whole[] = {"parts", "count", "seed", "until_manifested", "until_half_width", "in_a_row"};

/* In percent. */
static void apply_half_width(struct settings *s, struct plan *p)
{
    const char *words = settings_text(s, "until_half_width", 1, 16);
    char *end = NULL;

    if (!words)
        return;
    double percent = strtod(words, &end);
    if (*end || !(percent >= 0.01 && percent <= 50))
        settings_refuse(s, "until_half_width", 0, "is no number of percent from 0.01 to 50");
    p->until_half_width = percent / 100;
}

static void apply_extent(struct settings *s, struct plan *p)
{
    settings_need(s, "seed");
    p->until_manifested = settings_number(s, "until_manifested", 1, COUNT_MAX, 0);
    apply_half_width(s, p);
    if (!p->until_manifested && !settings_has(s, "until_half_width"))
        settings_need(s, "count");
    p->count = settings_number(s, "count", 1, COUNT_MAX, COUNT_MAX);
    p->seed = settings_number(s, "seed", 0, UINT64_MAX, 0);
}

static void apply_numbers(struct settings *s, struct plan *p)
{
    p->timeout_ms = (unsigned)settings_number(s, "timeout_ms", 1, UINT32_MAX, 10000);
    p->boot_ms = (unsigned)settings_number(s, "boot_ms", 1, UINT32_MAX, 60000);
    p->warmup_rounds = (unsigned)settings_number(s, "warmup_rounds", 1, UINT32_MAX, 1);
    p->rounds = (unsigned)settings_number(s, "rounds", 1, UINT32_MAX, 3);
    p->jitter_ms = (unsigned)settings_number(s, "jitter_ms", 0, UINT32_MAX, 0);
    p->exact = settings_switch(s, "exact", false);
    p->jitter_switches = (unsigned)settings_number(s, "jitter_switches", 0, JITTER_SWITCHES_MAX, 0);
}

static void add_model(struct settings *s, const char *key, size_t item, const char *words, struct plan *p)
{
    size_t used = strlen(p->model_words);
    struct why why = {0};

    if (model_parse(words, &p->model[p->models].use, &why) != ERR_OK)
        settings_refuse(s, key, item, "%s", why.text);
    p->model[p->models].weight = 1;
    strcpy(p->model[p->models++].words, words);
    snprintf(p->model_words + used, sizeof p->model_words - used, "%s%s", used ? ", " : "", words);
}

/* In the order of the models. */
static void apply_weights(struct settings *s, struct plan *p)
{
    size_t count = settings_list(s, "model_weights", PLAN_MODELS_MAX, PLAN_TEXT_MAX - 1);
    uint64_t weight;

    if (settings_has(s, "model_weights") && count != p->models)
        settings_refuse(s, "model_weights", 0, "are %zu, for %u models", count, p->models);
    for (unsigned i = 0; i < count && i < p->models; i++) {
        if (!number_parse(settings_item(s, "model_weights", i), 1, WEIGHT_MAX, &weight))
            settings_refuse(s, "model_weights", i, "is no number from 1 to %d", WEIGHT_MAX);
        else
            p->model[i].weight = (unsigned)weight;
    }
    for (unsigned i = 0; i < p->models; i++)
        p->weights += p->model[i].weight;
}

static void apply_models(struct settings *s, struct plan *p)
{
    const char *words;

    if (!settings_has(s, "models"))
        settings_need(s, "model");
    else if (settings_has(s, "model"))
        settings_refuse(s, "models", 0, "there is a model, too");
    if ((words = settings_text(s, "model", 1, PLAN_TEXT_MAX - 1)) != NULL)
        add_model(s, "model", 0, words, p);
    size_t count = settings_list(s, "models", PLAN_MODELS_MAX, PLAN_TEXT_MAX - 1);
    for (size_t i = 0; i < count; i++)
        add_model(s, "models", i, settings_item(s, "models", i), p);
    apply_weights(s, p);
}

/* Returns how many. `prefix` comes before each item, to make a target of it. `here`: that may be one, too. */
static unsigned apply_places(struct settings *s, const char *key, const char *prefix, bool here,
                             struct plan_target target[PLAN_TARGETS_MAX])
{
    unsigned count = (unsigned)settings_list(s, key, PLAN_TARGETS_MAX, PLAN_TEXT_MAX - 1 - strlen(prefix));

    for (unsigned i = 0; i < count; i++) {
        const char *words = settings_item(s, key, i);
        struct why why = {0};

        snprintf(target[i].words, sizeof target[i].words, "%s%s", prefix, words);
        target[i].line = settings_line(s, key, i);
        target[i].here = here && strcmp(words, "here") == 0;
        if (!target[i].here && place_parse(target[i].words, &target[i].place, &why) != ERR_OK)
            settings_refuse(s, key, i, "%s", why.text);
    }
    return count;
}

/* recovery, swap CELL=FILE, reload CELL. The object's file is found from the campaign's folder. */
static bool parse_during(const char *words, const char *folder, struct plan_moment *m)
{
    size_t verb = strcspn(words, " ");
    const char *cell = words + verb + (words[verb] == ' ');
    size_t name = strcspn(cell, "=");
    const char *object = cell + name + (cell[name] == '=');

    if (strcmp(words, "recovery") == 0)
        m->during = DURING_RECOVERY;
    else if (strncmp(words, "swap ", verb + 1) == 0 && *object)
        m->during = DURING_SWAP;
    else if (strncmp(words, "reload ", verb + 1) == 0 && !cell[name])
        m->during = DURING_RELOAD;
    else
        return false;
    if (m->during == DURING_RECOVERY)
        return true;
    snprintf(m->cell, sizeof m->cell, "%.*s", (int)name, cell);
    int length = snprintf(m->object, sizeof m->object, "%s%s%s", *object == '/' ? "" : folder,
                          *object == '/' ? "" : "/", object);
    return name && name < sizeof m->cell && (size_t)length < sizeof m->object;
}

static void apply_moment(struct settings *s, const char *folder, struct plan *p)
{
    static const char *const others[] = {"moments", "moment_steps", "first", "first_model"};
    const char *words = settings_text(s, "during", 1, MACHINE_PATH_MAX - 1);
    struct plan_moment *m = &p->moment;

    if (words && !parse_during(words, folder, m))
        settings_refuse(s, "during", 0, "is none of recovery, swap CELL=OBJECT, reload CELL");
    for (size_t i = 0; i < sizeof others / sizeof *others; i++)
        if (settings_has(s, others[i]) && m->during != DURING_RECOVERY && (i > 1 || !words))
            settings_refuse(s, others[i], 0, i > 1 ? "needs during: recovery" : "needs the key during");
    if (!words)
        return;
    settings_need(s, "moments");
    m->functions = apply_places(s, "moments", "symbol:", false, m->function);
    m->steps = (unsigned)settings_number(s, "moment_steps", 0, MOMENT_STEPS_MAX, 0);
    if (m->during != DURING_RECOVERY)
        return;
    settings_need(s, "first");
    m->firsts = apply_places(s, "first", "", false, m->first);
    m->first_model = p->model[0].use;
    const char *model = settings_text(s, "first_model", 1, PLAN_TEXT_MAX - 1);
    struct why why = {0};
    if (model && model_parse(model, &m->first_model, &why) != ERR_OK)
        settings_refuse(s, "first_model", 0, "%s", why.text);
    if (m->first_model.model && m->first_model.model->skips)
        settings_refuse(s, settings_has(s, "first_model") ? "first_model" : "model", 0, "skip is no first fault");
}

static bool has_register_model(const struct plan *p)
{
    bool has = false;

    for (unsigned i = 0; i < p->models; i++)
        has |= p->model[i].use.model && p->model[i].use.model->registers;
    return has;
}

/* A register has a model that fits, and no first fault. */
static void check_registers(struct settings *s, const struct plan *p)
{
    for (unsigned i = 0; i < p->targets; i++)
        if (p->target[i].place.reg && !has_register_model(p))
            settings_refuse(s, "targets", i, "no model of the campaign is for registers");
    for (unsigned i = 0; i < p->moment.firsts; i++)
        if (p->moment.first[i].place.reg)
            settings_refuse(s, "first", i, "a register is no first fault");
}

static void apply_targets(struct settings *s, struct plan *p)
{
    p->targets = apply_places(s, "targets", "", settings_has(s, "during"), p->target);
    apply_moment(s, p->folder, p);
    check_registers(s, p);
}

/* Appends "workload=WORD,WORD" for the parts of a list. */
static void apply_workload_list(struct settings *s, struct plan *p)
{
    size_t count = settings_list(s, "workload", PARTS, PLAN_TEXT_MAX - 1), used = strlen(p->machine.cmdline);

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
    char words[PLAN_TEXT_MAX];

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

/* Held bits would be made true again while the guest stands still. */
static void check_moment(struct settings *s, const struct plan *p)
{
    bool holds = p->moment.firsts && p->moment.first_model.model->holds;

    for (unsigned i = 0; i < p->models; i++)
        holds |= p->model[i].use.model->holds;
    if (p->moment.during && holds)
        settings_refuse(s, "during", 0, "is not for a model that is held");
}

/* With several CPUs the order in which they run is the host's; so are other moments. */
static enum err check_exact(struct settings *s, const struct plan *p)
{
    if (p->exact && (!p->machine.icount || p->machine.cpus != 1))
        settings_refuse(s, "exact", 0, "needs icount: yes and cpus: 1 in the machine file");
    else if (p->exact && p->jitter_ms)
        settings_refuse(s, "jitter_ms", 0, "is time of the host; with exact it is jitter_switches");
    for (unsigned i = 0; p->exact && i < p->models; i++)
        if (!settings_error(s) && p->model[i].use.model->holds)
            settings_refuse(s, settings_has(s, "model") ? "model" : "models", i,
                            "%s is made true again by the host, now and then; not with exact", p->model[i].words);
    check_moment(s, p);
    /* Whose register: while several run, there is no CPU that the moment is about. */
    for (unsigned i = 0; i < p->targets; i++)
        if (p->target[i].place.kind == PLACE_REGISTER && p->machine.cpus != 1)
            settings_refuse(s, "targets", i, "needs cpus: 1 in the machine file, or @TARGET");
    if (!p->exact && p->jitter_switches)
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
    if (p->machine.connect[0]) {
        settings_refuse(s, "machine", 0,
                        "libvirt's machines (connect) are not for campaigns, which keep states of their own");
        return ERR_UNSUPPORTED;
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
    if (settings_has(s, "in_a_row"))
        settings_refuse(s, "in_a_row", 0, "is for a campaign with parts");
    for (size_t i = 0; i < sizeof needed / sizeof *needed; i++)
        settings_need(s, needed[i]);
    apply_models(s, p);
    apply_extent(s, p);
    apply_numbers(s, p);
    apply_targets(s, p);
    return settings_error(s) ? ERR_INVALID : apply_machine(s, p);
}

struct source {
    const char *folder;
    plan_read *read;
    void *context;
};

static void copy_folder(const char *folder, const char *file, char *ret_folder, size_t bytes)
{
    const char *slash = strrchr(file, '/');

    if (file[0] == '/')
        snprintf(ret_folder, bytes, "%.*s", (int)(slash - file), file);
    else
        snprintf(ret_folder, bytes, "%s%s%.*s", folder, slash ? "/" : "", slash ? (int)(slash - file) : 0, file);
}

static enum err parse_part(const char *file, const struct source *from, struct plan *ret_part, struct why *why)
{
    char reason[SETTINGS_WHY], folder[2 * MACHINE_PATH_MAX];
    OWN(memory) char *text = from->read(from->context, file, reason);

    if (!text)
        return why_set(why, ERR_NOT_FOUND, "%s: %s", file, reason);
    copy_folder(from->folder, file, folder, sizeof folder);
    enum err e = plan_parse(file, text, folder, NULL, NULL, ret_part, why);
    if (e == ERR_OK)
        snprintf(ret_part->file, sizeof ret_part->file, "%s", file);
    return e;
}

/* A campaign that is made of others. */
static enum err apply_parts(struct settings *s, const struct source *from, struct plan *p, struct why *why)
{
    enum err e = ERR_OK;

    for (size_t i = 0; keys[i]; i++) {
        bool whole = false;
        for (size_t n = 0; n < sizeof of_whole / sizeof *of_whole; n++)
            whole |= strcmp(keys[i], of_whole[n]) == 0;
        if (!whole && settings_has(s, keys[i]))
            settings_refuse(s, keys[i], 0, "is for the parts to say");
    }
    if (!from->read && !settings_error(s))
        settings_refuse(s, "parts", 0, "a part has no parts");
    apply_extent(s, p);
    p->in_a_row = settings_number(s, "in_a_row", 1, COUNT_MAX, IN_A_ROW);
    size_t count = settings_list(s, "parts", PLAN_PARTS_MAX, PLAN_TEXT_MAX - 1);
    if (settings_error(s))
        return ERR_INVALID;
    p->part = calloc(count, sizeof *p->part);
    if (!p->part)
        return why_set(why, ERR_NOMEM, "out of memory");
    for (size_t i = 0; i < count && e == ERR_OK; i++) {
        e = parse_part(settings_item(s, "parts", i), from, &p->part[i], why);
        p->parts += e == ERR_OK;
    }
    strcpy(p->model_words, "as its parts say");
    return e;
}

unsigned plan_model(const struct plan *plan, unsigned drawn)
{
    unsigned m = 0;

    while (m + 1 < plan->models && drawn >= plan->model[m].weight)
        drawn -= plan->model[m++].weight;
    return m;
}

const struct plan *plan_part(const struct plan *plan, uint64_t index)
{
    return plan->parts ? &plan->part[index / plan->in_a_row % plan->parts] : plan;
}

static enum err parse_into(struct settings *s, const struct source *from, struct plan *plan, struct why *why)
{
    enum err e = settings_has(s, "parts") ? apply_parts(s, from, plan, why) : apply_plan_file(s, plan);

    return e == ERR_OK || !settings_error(s) ? e : why_set(why, e, "%s", settings_error(s));
}

enum err plan_parse(const char *name, const char *text, const char *folder, plan_read *read, void *context,
                    struct plan *ret_plan, struct why *why)
{
    OWN(settings) struct settings *settings = settings_parse(name, text, keys);
    OWN(memory) struct plan *plan = calloc(1, sizeof *plan);
    OWN(memory) char *copy = strdup(text);
    const struct source from = {folder, read, context};

    if (!plan || !settings || !copy)
        return why_set(why, ERR_NOMEM, "out of memory");
    if ((size_t)snprintf(plan->folder, sizeof plan->folder, "%s", folder) >= sizeof plan->folder)
        return why_set(why, ERR_RANGE, "%s: its folder has a path of more than %zu bytes", name,
                       sizeof plan->folder - 1);
    if (!settings_error(settings) && settings_is_empty(settings))
        return why_set(why, ERR_INVALID, "%s: is empty; configs/campaigns/quick.yaml shows most keys", name);
    enum err e = parse_into(settings, &from, plan, why);
    if (e != ERR_OK) {
        plan_done(plan);
        return e;
    }
    *ret_plan = *plan;
    ret_plan->text = MOVE(copy);
    return ERR_OK;
}

/* `context` is the folder. */
static char *read_beside(void *context, const char *file, char ret_why[SETTINGS_WHY])
{
    char path[2 * MACHINE_PATH_MAX];

    snprintf(path, sizeof path, "%s%s%s", file[0] == '/' ? "" : (const char *)context, file[0] == '/' ? "" : "/", file);
    return settings_file(path, ret_why);
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
    char *beside = *folder ? folder : "/";
    return plan_parse(path, text, beside, read_beside, beside, ret_plan, why);
}

void plan_done(struct plan *plan)
{
    for (unsigned i = 0; i < plan->parts; i++)
        plan_done(&plan->part[i]);
    free(plan->part);
    free(plan->text);
    *plan = (struct plan){0};
}
