/* Machine files: settings over the defaults. Leaves out whether what they name exists. */
#include "introspect/base/number.h"
#include "introspect/base/settings.h"
#include "vmm/machine/error.h"
#include "vmm/machine/machine.h"
#include "vmm/machine/rundir.h"
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

static const char *const keys[] = {"name",    "cpus",  "ram",    "accel",  "kernel",  "archive",
                                   "cmdline", "extra", "icount", "paused", "connect", NULL};

void machine_config_init(struct machine_config *config)
{
    *config = (struct machine_config){.name = "delias", .ram_bytes = 64 << 20, .cpus = 2};
}

enum err machine_parse_size(const char *word, uint64_t *ret_bytes)
{
    return number_parse_size(word, 0, UINT64_MAX, ret_bytes)
               ? ERR_OK
               : machine_fail(ERR_INVALID, "size '%.30s': a number of bytes, or one with K, M or G", word);
}

static void apply_text(struct settings *s, const char *key, size_t least, char *to, size_t bytes)
{
    const char *text = settings_text(s, key, least, bytes - 1);

    if (text)
        strcpy(to, text);
}

/* A path is taken from the folder of file `path`. */
static void apply_path(struct settings *s, const char *key, const char *path, char *to)
{
    const char *given = settings_text(s, key, 1, MACHINE_PATH_MAX - 1), *slash = strrchr(path, '/');
    int folder = !slash || !given || given[0] == '/' ? 0 : (int)(slash - path + 1);

    if (given && snprintf(to, MACHINE_PATH_MAX, "%.*s%s", folder, path, given) >= MACHINE_PATH_MAX)
        settings_refuse(s, key, 0, "too long a path: %.*s%s", folder, path, given);
}

static void apply_ram(struct settings *s, uint64_t *ret_bytes)
{
    const char *text = settings_text(s, "ram", 1, 32);
    uint64_t bytes = *ret_bytes;

    if (!text)
        return;
    if (machine_parse_size(text, &bytes) != ERR_OK)
        settings_refuse(s, "ram", 0, "%s", machine_last_error());
    else if (machine_check_ram(bytes) != ERR_OK)
        settings_refuse(s, "ram", 0, "%s", machine_last_error());
    else
        *ret_bytes = bytes;
}

static void apply_machine_file(struct settings *s, const char *path, struct machine_config *c)
{
    apply_text(s, "name", 1, c->name, sizeof c->name);
    if (!settings_error(s) && rundir_check_name(c->name) != ERR_OK)
        settings_refuse(s, "name", 0, "%s", machine_last_error());
    c->cpus = (unsigned)settings_number(s, "cpus", 1, MACHINE_CPUS_MAX, c->cpus);
    apply_ram(s, &c->ram_bytes);
    const char *accel = settings_text(s, "accel", 1, 16);
    if (accel && machine_backend_parse(accel, &c->backend) != ERR_OK)
        settings_refuse(s, "accel", 0, "%s", machine_last_error());
    apply_text(s, "connect", 1, c->connect, sizeof c->connect);
    apply_path(s, "kernel", path, c->kernel);
    apply_path(s, "archive", path, c->archive);
    apply_text(s, "cmdline", 0, c->cmdline, sizeof c->cmdline);
    apply_text(s, "extra", 0, c->extra, sizeof c->extra);
    c->icount = settings_switch(s, "icount", false);
    c->paused = settings_switch(s, "paused", false);
}

enum err machine_config_load(const char *path, struct machine_config *ret_config)
{
    struct machine_config config;
    char why[SETTINGS_WHY];

    machine_config_init(&config);
    OWN(memory) char *text = settings_file(path, why);
    if (!text)
        return machine_fail(ERR_NOT_FOUND, "machine file %s: %s", path, why);
    OWN(settings) struct settings *settings = settings_parse(path, text, keys);
    if (!settings)
        return machine_fail(ERR_NOMEM, "machine file %s: out of memory", path);
    apply_machine_file(settings, path, &config);
    if (settings_error(settings))
        return machine_fail(ERR_INVALID, "machine file %s", settings_error(settings));
    *ret_config = config;
    return ERR_OK;
}
