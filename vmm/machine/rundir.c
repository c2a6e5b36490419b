/* See rundir.h. */
#include "vmm/machine/rundir.h"
#include "guest/abi/fnv.h"
#include "introspect/base/clock.h"
#include "introspect/base/json.h"
#include "vmm/machine/error.h"
#include <ctype.h>
#include <errno.h>
#include <fcntl.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

enum { LOCK_MS = 15000, LOCK_STEP_MS = 20 };

enum err rundir_path(char *path, size_t bytes)
{
    const char *base = getenv("XDG_RUNTIME_DIR");
    struct stat st;
    int n = base && *base == '/' ? snprintf(path, bytes, "%s/delias", base)
                                 : snprintf(path, bytes, "/tmp/delias-%u", (unsigned)getuid());

    if (n < 0 || (size_t)n >= bytes)
        return machine_fail(ERR_INVALID, "XDG_RUNTIME_DIR: too long");
    if (mkdir(path, 0700) != 0 && errno != EEXIST)
        return machine_fail(ERR_IO, "run directory %s: %s; set XDG_RUNTIME_DIR to a folder of yours", path,
                            strerror(errno));
    if (lstat(path, &st) != 0 || !S_ISDIR(st.st_mode) || st.st_uid != getuid())
        return machine_fail(ERR_REFUSED, "run directory %s: not a folder of yours; remove it or set XDG_RUNTIME_DIR",
                            path);
    if ((st.st_mode & 0077) != 0 && chmod(path, 0700) != 0)
        return machine_fail(ERR_REFUSED, "run directory %s: open to others; chmod 700 it", path);
    return ERR_OK;
}

enum err rundir_check_name(const char *name)
{
    size_t n = strlen(name);

    if (n == 0 || n > MACHINE_NAME_MAX || name[0] == '.' || name[0] == '-')
        return machine_fail(ERR_INVALID, "machine name '%.40s': 1 to %d characters, not starting with '.' or '-'", name,
                            MACHINE_NAME_MAX);
    for (; *name; name++)
        if (!isalnum((unsigned char)*name) && !strchr("-_.", *name))
            return machine_fail(ERR_INVALID, "machine name: only letters, digits, '-', '_' and '.'");
    return ERR_OK;
}

enum err rundir_fill_paths(struct machine_info *info)
{
    char base[MACHINE_PATH_MAX - MACHINE_NAME_MAX - 16];
    const struct {
        char *path;
        const char *file;
    } files[] = {{info->qmp, "qmp.sock"},         {info->control, "control.sock"}, {info->gdb, "gdb.sock"},
                 {info->console, "console.sock"}, {info->serial, "serial.log"},    {info->log, "log"}};
    enum err e = rundir_path(base, sizeof base);

    if (e != ERR_OK)
        return e;
    if (strlen(base) + strlen(info->name) + sizeof "//console.sock" > sizeof((struct sockaddr_un *)0)->sun_path)
        return machine_fail(ERR_RANGE,
                            "run directory %s: too long a path for sockets of machine '%s'; set XDG_RUNTIME_DIR "
                            "to a shorter one",
                            base, info->name);
    snprintf(info->folder, sizeof info->folder, "%s/%s", base, info->name);
    for (size_t i = 0; i < sizeof files / sizeof *files; i++)
        snprintf(files[i].path, MACHINE_PATH_MAX, "%s/%s/%s", base, info->name, files[i].file);
    return ERR_OK;
}

/* One file for all names: each locks a byte of its own. Two names whose hashes are equal wait for each other. */
static bool lock_name(int fd, const char *name)
{
    struct flock lock = {.l_type = F_WRLCK, .l_whence = SEEK_SET, .l_len = 1};

    lock.l_start = (off_t)(fnv_add(FNV_START, name, strlen(name)) & (INT64_MAX >> 1));
    return fcntl(fd, F_OFD_SETLK, &lock) == 0;
}

int rundir_lock(const char *name)
{
    char path[MACHINE_PATH_MAX], file[MACHINE_PATH_MAX + 8];
    int64_t deadline = clock_ms() + LOCK_MS;

    if (rundir_path(path, sizeof path) != ERR_OK)
        return -1;
    snprintf(file, sizeof file, "%s/.lock", path);
    OWN(descriptor) int fd = open(file, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
    while (fd < 0 || !lock_name(fd, name)) {
        bool held = fd >= 0 && (errno == EAGAIN || errno == EACCES);

        if (fd >= 0 && (held || errno == EINTR) && clock_ms() < deadline) {
            usleep(LOCK_STEP_MS * 1000);
            continue;
        }
        enum err e =
            held
                ? machine_fail(ERR_BUSY,
                               "machine '%s': another delias is starting or stopping it; wait for that or end it", name)
                : machine_fail(ERR_IO, "%s: %s", file, strerror(errno));
        (void)e;
        return -1;
    }
    return MOVE_DESCRIPTOR(fd);
}

/* One row per text of machine.json. */
#define TEXTS(X)                                                                                                       \
    X("ram_file", ram_file)                                                                                            \
    X("qmp", qmp)                                                                                                      \
    X("control", control)                                                                                              \
    X("gdb", gdb)                                                                                                      \
    X("console", console) X("serial", serial) X("log", log) X("kernel", kernel) X("archive", archive) X("why", why)
/* Of a domain only. */
#define DOMAIN_TEXTS(X) X("connect", connect) X("domain", domain)

enum err rundir_write(const struct machine_info *info)
{
    char path[MACHINE_PATH_MAX + 16], fresh[MACHINE_PATH_MAX + 16];
    OWN(json)
    json_t *json =
        json_pack("{s:s,s:s,s:i,s:I,s:i,s:I}", "name", info->name, "backend", machine_backend_name(info->backend),
                  "pid", info->pid, "started", (json_int_t)info->started, "cpus", (int)info->cpus, "ram_bytes",
                  (json_int_t)info->ram_bytes);
    int failed = json == NULL;

#define SET(key, member) failed |= json_object_set_new(json, key, json_string(info->member));
    TEXTS(SET)
    if (info->backend == MACHINE_LIBVIRT) {
        DOMAIN_TEXTS(SET)
        failed |= json_object_set_new(json, "attached", json_boolean(info->attached));
    }
#undef SET
    snprintf(path, sizeof path, "%s/machine.json", info->folder);
    snprintf(fresh, sizeof fresh, "%s/machine.new", info->folder);
    if (!failed)
        failed = json_dump_file(json, fresh, JSON_INDENT(2)) != 0 || rename(fresh, path) != 0;
    return failed ? machine_fail(ERR_IO, "%s: can't be written: %s", path, strerror(errno)) : ERR_OK;
}

static bool copy_json_text(const json_t *json, const char *key, char *to, size_t bytes)
{
    const char *text = json_string_value(json_object_get(json, key));

    if (!text || strlen(text) >= bytes)
        return false;
    strcpy(to, text);
    return true;
}

enum err rundir_read(const char *name, struct machine_info *ret_info)
{
    struct machine_info info = {0};
    char path[MACHINE_PATH_MAX + 16];
    json_error_t where;
    bool good = true;
    enum err e = rundir_check_name(name);

    if (e == ERR_OK) {
        strcpy(info.name, name);
        e = rundir_fill_paths(&info);
    }
    if (e != ERR_OK)
        return e;
    snprintf(path, sizeof path, "%s/machine.json", info.folder);
    OWN(json) json_t *json = json_load_file(path, 0, &where);
    if (!json)
        return machine_fail(ERR_NOT_FOUND, "no machine '%s' is running; 'delias ps' lists what is", name);
#define GET(key, member) good = good && copy_json_text(json, key, info.member, sizeof info.member);
    TEXTS(GET)
    const char *backend = json_string_value(json_object_get(json, "backend"));
    bool domain = backend && strcmp(backend, machine_backend_name(MACHINE_LIBVIRT)) == 0;
    if (domain) {
        DOMAIN_TEXTS(GET)
        info.backend = MACHINE_LIBVIRT;
        info.attached = json_is_true(json_object_get(json, "attached"));
    }
#undef GET
    json_int_t pid = json_integer_value(json_object_get(json, "pid"));
    json_int_t cpus = json_integer_value(json_object_get(json, "cpus"));
    json_int_t ram = json_integer_value(json_object_get(json, "ram_bytes"));
    info.started = (uint64_t)json_integer_value(json_object_get(json, "started"));
    good = good && backend && (domain || machine_backend_parse(backend, &info.backend) == ERR_OK) && pid > 1 &&
           pid <= INT32_MAX && cpus > 0 && cpus <= MACHINE_CPUS_MAX && ram > 0;
    if (!good)
        return machine_fail(ERR_NOT_FOUND, "%s: damaged; 'delias stop %s' removes it", path, name);
    info.pid = (int)pid;
    info.cpus = (unsigned)cpus;
    info.ram_bytes = (uint64_t)ram;
    *ret_info = info;
    return ERR_OK;
}

/* By their names alone, and never through a symbolic link: its target is not ours to empty. */
void rundir_clear(const struct machine_info *info)
{
    static const char *const files[] = {"machine.json", "machine.new",  "qmp.sock",   "control.sock",
                                        "gdb.sock",     "console.sock", "serial.log", "log",
                                        "lock",         "snapshot",     "state",      "state.new"};
    OWN(descriptor) int folder = open(info->folder, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);

    for (size_t i = 0; folder >= 0 && i < sizeof files / sizeof *files; i++)
        (void)!unlinkat(folder, files[i], 0);
    if (rmdir(info->folder) != 0 && errno == ENOTDIR)
        (void)!unlink(info->folder);
}

enum err rundir_remove(const struct machine_info *info)
{
    struct stat st;

    rundir_clear(info);
    if (lstat(info->folder, &st) == 0)
        return machine_fail(ERR_REFUSED, "%s: holds what no machine has made; move it away", info->folder);
    return ERR_OK;
}
