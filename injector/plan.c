/* See plan.h. */
#include "injector/plan.h"
#include <cyaml/cyaml.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

struct plan_file {
    char *machine, *model, *accel;
    char **targets;
    unsigned targets_count;
    char *count, *seed, *timeout_ms, *boot_ms, *warmup_rounds, *rounds, *jitter_ms; /* read_number() is strict */
};

enum { OPTIONAL = CYAML_FLAG_OPTIONAL, TEXT = CYAML_FLAG_POINTER, FILE_BYTES_MAX = 1 << 20, NUMBER_MAX = 24 };

static const cyaml_schema_value_t target_schema = {
    CYAML_VALUE_STRING(CYAML_FLAG_POINTER, char, 1, PLAN_WORDS - 1),
};

static const cyaml_schema_field_t fields[] = {
    CYAML_FIELD_STRING_PTR("machine", TEXT, struct plan_file, machine, 1, MACHINE_PATH_MAX - 1),
    CYAML_FIELD_SEQUENCE("targets", CYAML_FLAG_POINTER, struct plan_file, targets, &target_schema, 1, PLAN_TARGETS_MAX),
    CYAML_FIELD_STRING_PTR("model", TEXT, struct plan_file, model, 1, PLAN_WORDS - 1),
    CYAML_FIELD_STRING_PTR("count", TEXT, struct plan_file, count, 1, NUMBER_MAX),
    CYAML_FIELD_STRING_PTR("seed", TEXT, struct plan_file, seed, 1, NUMBER_MAX),
    CYAML_FIELD_STRING_PTR("timeout_ms", TEXT | OPTIONAL, struct plan_file, timeout_ms, 1, NUMBER_MAX),
    CYAML_FIELD_STRING_PTR("boot_ms", TEXT | OPTIONAL, struct plan_file, boot_ms, 1, NUMBER_MAX),
    CYAML_FIELD_STRING_PTR("warmup_rounds", TEXT | OPTIONAL, struct plan_file, warmup_rounds, 1, NUMBER_MAX),
    CYAML_FIELD_STRING_PTR("rounds", TEXT | OPTIONAL, struct plan_file, rounds, 1, NUMBER_MAX),
    CYAML_FIELD_STRING_PTR("jitter_ms", TEXT | OPTIONAL, struct plan_file, jitter_ms, 1, NUMBER_MAX),
    CYAML_FIELD_STRING_PTR("accel", TEXT | OPTIONAL, struct plan_file, accel, 1, 16),
    CYAML_FIELD_END,
};

static const cyaml_schema_value_t schema = {CYAML_VALUE_MAPPING(CYAML_FLAG_POINTER, struct plan_file, fields)};

/* Keeps the first complaint of the parser: it says what is wrong; what follows is the way back up. */
static void keep_first(cyaml_log_t level, void *ctx, const char *format, va_list args)
{
    char *line = ctx;

    (void)level;
    if (*line == '\0')
        vsnprintf(line, 256, format, args);
    line[strcspn(line, "\n")] = '\0';
}

/* A decimal number of up to `max`; `missing` where there is none. */
static enum err read_number(const char *name, const char *key, const char *text, uint64_t max, uint64_t missing,
                            uint64_t *ret, struct why *why)
{
    char *end;

    *ret = missing;
    if (!text)
        return ERR_OK;
    errno = 0;
    unsigned long long value = strtoull(text, &end, 10);
    if (*text < '0' || *text > '9' || *end || errno || value > max)
        return why_set(why, ERR_INVALID, "%s: %s: '%s' is not a number from 0 to %llu", name, key, text,
                       (unsigned long long)max);
    *ret = value;
    return ERR_OK;
}

static enum err apply_numbers(const char *name, const struct plan_file *f, struct plan *p, struct why *why)
{
    struct {
        const char *key, *text;
        unsigned missing, *to;
    } numbers[] = {
        {"timeout_ms", f->timeout_ms, 10000, &p->timeout_ms},
        {"boot_ms", f->boot_ms, 60000, &p->boot_ms},
        {"warmup_rounds", f->warmup_rounds, 1, &p->warmup_rounds},
        {"rounds", f->rounds, 3, &p->rounds},
        {"jitter_ms", f->jitter_ms, 0, &p->jitter_ms},
    };
    enum err e = read_number(name, "count", f->count, UINT64_MAX, 0, &p->count, why);

    if (e == ERR_OK)
        e = read_number(name, "seed", f->seed, UINT64_MAX, 0, &p->seed, why);
    for (size_t i = 0; i < sizeof numbers / sizeof *numbers && e == ERR_OK; i++) {
        uint64_t value;
        e = read_number(name, numbers[i].key, numbers[i].text, UINT32_MAX, numbers[i].missing, &value, why);
        *numbers[i].to = value ? (unsigned)value : numbers[i].missing;
    }
    if (e == ERR_OK && (p->count == 0 || p->count > 100000000))
        e = why_set(why, ERR_INVALID, "%s: count: a number of experiments from 1 to 100000000", name);
    return e;
}

static enum err apply_machine(const char *name, const struct plan_file *f, struct plan *p, struct why *why)
{
    char path[2 * MACHINE_PATH_MAX];

    if (f->machine[0] == '/')
        snprintf(path, sizeof path, "%s", f->machine);
    else
        snprintf(path, sizeof path, "%s/%s", p->folder, f->machine);
    enum err e = machine_config_load(path, &p->machine);
    if (e == ERR_OK && f->accel)
        e = machine_backend_parse(f->accel, &p->machine.backend);
    if (e != ERR_OK)
        return why_set(why, e, "%s: %s", name, machine_last_error());
    if (access(p->machine.kernel, R_OK) != 0)
        return why_set(why, ERR_NOT_FOUND, "%s: kernel %s: %s; `make` builds it", name, p->machine.kernel,
                       strerror(errno));
    if (p->machine.archive[0] && access(p->machine.archive, R_OK) != 0)
        return why_set(why, ERR_NOT_FOUND, "%s: archive %s: %s; `make` builds it", name, p->machine.archive,
                       strerror(errno));
    return ERR_OK;
}

static enum err apply_targets(const char *name, const struct plan_file *f, struct plan *p, struct why *why)
{
    for (unsigned i = 0; i < f->targets_count; i++) {
        struct why inner = {0};
        enum err e = place_parse(f->targets[i], &p->target[i].place, &inner);

        if (e != ERR_OK)
            return why_set(why, e, "%s: %s", name, inner.text);
        strcpy(p->target[i].words, f->targets[i]);
    }
    p->targets = f->targets_count;
    return ERR_OK;
}

static enum err apply(const char *name, const struct plan_file *f, struct plan *p, struct why *why)
{
    struct why inner = {0};
    enum err e = model_parse(f->model, &p->model, &inner);

    if (e != ERR_OK)
        return why_set(why, e, "%s: %s", name, inner.text);
    strcpy(p->model_words, f->model);
    e = apply_numbers(name, f, p, why);
    if (e == ERR_OK)
        e = apply_targets(name, f, p, why);
    return e == ERR_OK ? apply_machine(name, f, p, why) : e;
}

enum err plan_parse(const char *name, const char *text, const char *folder, struct plan *ret_plan, struct why *why)
{
    char complaint[256] = "";
    const cyaml_config_t cyaml = {.log_fn = keep_first,
                                  .log_ctx = complaint,
                                  .mem_fn = cyaml_mem,
                                  .log_level = CYAML_LOG_ERROR,
                                  .flags = CYAML_CFG_NO_ALIAS};
    struct plan_file *file = NULL;
    struct plan *plan = calloc(1, sizeof *plan);

    if (!plan)
        return why_set(why, ERR_NOMEM, "out of memory");
    snprintf(plan->folder, sizeof plan->folder, "%s", folder);
    cyaml_err_t bad =
        cyaml_load_data((const uint8_t *)text, strlen(text), &cyaml, &schema, (cyaml_data_t **)&file, NULL);
    enum err e;
    if (bad != CYAML_OK)
        e = why_set(why, ERR_INVALID, "%s: %s%s%s", name, cyaml_strerror(bad), complaint[0] ? ": " : "", complaint);
    else if (!file)
        e = why_set(why, ERR_INVALID, "%s: is empty; configs/campaigns/quick.yaml shows every key", name);
    else
        e = apply(name, file, plan, why);
    if (e == ERR_OK && !(plan->text = strdup(text)))
        e = why_set(why, ERR_NOMEM, "out of memory");
    if (e == ERR_OK)
        *ret_plan = *plan;
    cyaml_free(&cyaml, &schema, file, 0);
    free(plan);
    return e;
}

/* The text of a file, owned by the caller, or NULL. */
static char *read_text(const char *path, struct why *why)
{
    FILE *f = fopen(path, "r");
    char *text = f ? calloc(1, FILE_BYTES_MAX + 2) : NULL;

    if (!f) {
        why_fill(why, "campaign file %s: %s", path, strerror(errno));
        return NULL;
    }
    if (!text || fread(text, 1, FILE_BYTES_MAX + 1, f) > FILE_BYTES_MAX || ferror(f)) {
        why_fill(why, "campaign file %s: cannot be read, or is larger than 1 MiB", path);
        free(text);
        text = NULL;
    }
    fclose(f);
    return text;
}

enum err plan_load(const char *path, struct plan *ret_plan, struct why *why)
{
    char *text = read_text(path, why), *folder = text ? realpath(path, NULL) : NULL;
    enum err e = ERR_NOT_FOUND;

    if (folder) {
        *strrchr(folder, '/') = '\0';
        e = plan_parse(path, text, *folder ? folder : "/", ret_plan, why);
    } else if (text) {
        why_fill(why, "campaign file %s: is in no folder, from which its paths could be taken", path);
    }
    free(folder);
    free(text);
    return e;
}

void plan_done(struct plan *plan)
{
    free(plan->text);
    *plan = (struct plan){0};
}
