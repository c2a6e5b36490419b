/* Machine files: YAML by a schema, over the defaults. Leaves out whether what they name exists. */
#include "vmm/machine/error.h"
#include "vmm/machine/machine.h"
#include <cyaml/cyaml.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

struct machine_file {
    char *name, *accel, *ram, *kernel, *archive, *cmdline, *extra;
    unsigned cpus;
    bool icount, paused;
};

enum { OPTIONAL = CYAML_FLAG_OPTIONAL, TEXT = CYAML_FLAG_OPTIONAL | CYAML_FLAG_POINTER };

static const cyaml_schema_field_t fields[] = {
    CYAML_FIELD_STRING_PTR("name", TEXT, struct machine_file, name, 1, MACHINE_NAME_MAX),
    CYAML_FIELD_UINT("cpus", OPTIONAL, struct machine_file, cpus),
    CYAML_FIELD_STRING_PTR("ram", TEXT, struct machine_file, ram, 1, 32),
    CYAML_FIELD_STRING_PTR("accel", TEXT, struct machine_file, accel, 1, 16),
    CYAML_FIELD_STRING_PTR("kernel", TEXT, struct machine_file, kernel, 1, MACHINE_PATH_MAX - 1),
    CYAML_FIELD_STRING_PTR("archive", TEXT, struct machine_file, archive, 1, MACHINE_PATH_MAX - 1),
    CYAML_FIELD_STRING_PTR("cmdline", TEXT, struct machine_file, cmdline, 0, MACHINE_TEXT_MAX - 1),
    CYAML_FIELD_STRING_PTR("extra", TEXT, struct machine_file, extra, 0, MACHINE_TEXT_MAX - 1),
    CYAML_FIELD_BOOL("icount", OPTIONAL, struct machine_file, icount),
    CYAML_FIELD_BOOL("paused", OPTIONAL, struct machine_file, paused),
    CYAML_FIELD_END};

static const cyaml_schema_value_t schema = {CYAML_VALUE_MAPPING(CYAML_FLAG_POINTER, struct machine_file, fields)};

void machine_config_init(struct machine_config *config)
{
    *config = (struct machine_config){.name = "delias", .ram_bytes = 64 << 20, .cpus = 2};
}

enum err machine_parse_bytes(const char *word, uint64_t *ret_bytes)
{
    char *end;

    errno = 0;
    unsigned long long n = strtoull(word, &end, 0);
    int shift = *end == 'K' ? 10 : *end == 'M' ? 20 : *end == 'G' ? 30 : 0;
    if (end == word || *word == '-' || errno != 0 || end[shift != 0] != '\0' || n > (UINT64_MAX >> shift))
        return machine_fail(ERR_INVALID, "size '%.30s': a number of bytes, or one with K, M or G", word);
    *ret_bytes = n << shift;
    return ERR_OK;
}

/* The parser says what is wrong on one line, and where (field and line) on those after it: one line here. */
static void keep(cyaml_log_t level, void *ctx, const char *format, va_list args)
{
    enum { COMPLAINT_MAX = 256 };
    char *line = ctx;
    char words[COMPLAINT_MAX];

    (void)level;
    vsnprintf(words, sizeof words, format, args);
    words[strcspn(words, "\n")] = '\0';
    if (strcmp(words, "Load: Backtrace:") == 0)
        return;
    const char *text = strncmp(words, "Load: ", 6) == 0 ? words + 6 : words;
    size_t used = strlen(line);
    snprintf(line + used, COMPLAINT_MAX - used, "%s%s", used ? "," : "", text + (used && *text ? 1 : 0));
}

static enum err set_path(const char *file, const char *given, char *to)
{
    const char *slash = strrchr(file, '/');
    int folder = given[0] == '/' || !slash ? 0 : (int)(slash - file + 1);
    int n = snprintf(to, MACHINE_PATH_MAX, "%.*s%s", folder, file, given);

    return n < MACHINE_PATH_MAX ? ERR_OK : machine_fail(ERR_INVALID, "%s: the path %s is too long", file, given);
}

static enum err apply(const char *path, const struct machine_file *f, struct machine_config *c)
{
    enum err e = ERR_OK;

    if (f->name)
        strcpy(c->name, f->name);
    if (f->cmdline)
        strcpy(c->cmdline, f->cmdline);
    if (f->extra)
        strcpy(c->extra, f->extra);
    if (f->cpus)
        c->cpus = f->cpus;
    c->icount = f->icount;
    c->paused = f->paused;
    if (f->ram)
        e = machine_parse_bytes(f->ram, &c->ram_bytes);
    if (e == ERR_OK && f->accel)
        e = machine_backend_parse(f->accel, &c->backend);
    if (e == ERR_OK && f->kernel)
        e = set_path(path, f->kernel, c->kernel);
    if (e == ERR_OK && f->archive)
        e = set_path(path, f->archive, c->archive);
    return e;
}

enum err machine_config_load(const char *path, struct machine_config *ret_config)
{
    char complaint[256] = "";
    cyaml_config_t cyaml = {.log_fn = keep,
                            .log_ctx = complaint,
                            .mem_fn = cyaml_mem,
                            .log_level = CYAML_LOG_ERROR,
                            .flags = CYAML_CFG_NO_ALIAS};
    struct machine_config config;
    struct machine_file *file = NULL;

    machine_config_init(&config);
    if (access(path, R_OK) != 0)
        return machine_fail(ERR_NOT_FOUND, "machine file %s: %s", path, strerror(errno));
    cyaml_err_t bad = cyaml_load_file(path, &cyaml, &schema, (cyaml_data_t **)&file, NULL);
    if (bad != CYAML_OK)
        return machine_fail(ERR_INVALID, "machine file %s: %s%s%s", path, cyaml_strerror(bad), complaint[0] ? ": " : "",
                            complaint);
    enum err e = file ? apply(path, file, &config) : ERR_OK;
    cyaml_free(&cyaml, &schema, file, 0);
    if (e == ERR_OK)
        *ret_config = config;
    return e;
}
