/* See snapshot_files.h. */
#include "vmm/machine/snapshot_files.h"
#include "vmm/machine/error.h"
#include "vmm/machine/rundir.h"
#include "vmm/machine/snapshots.h"
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum { SNAPSHOTS_MAX = 10000 };
static const char ending[] = ".snapshot";

/* Makes PATH and what is above it, for us alone. */
static enum err make_folders(char *path)
{
    for (char *end = strchr(path + 1, '/');; end = strchr(end + 1, '/')) {
        if (end)
            *end = '\0';
        if (mkdir(path, 0700) != 0 && errno != EEXIST)
            return machine_fail(ERR_IO, "folder of snapshots %s: %s; set XDG_STATE_HOME to a folder of yours", path,
                                strerror(errno));
        if (!end)
            return ERR_OK;
        *end = '/';
    }
}

static enum err folder_path(const char *machine_name, char path[MACHINE_PATH_MAX])
{
    const char *state = getenv("XDG_STATE_HOME"), *home = getenv("HOME");
    bool given = state && *state == '/';
    enum err e = rundir_check_name(machine_name);

    if (e != ERR_OK)
        return e;
    if (!given && (!home || *home != '/'))
        return machine_fail(ERR_INVALID, "neither XDG_STATE_HOME nor HOME says where snapshots are");
    int n = snprintf(path, MACHINE_PATH_MAX, "%s%s/delias/snapshots/%s", given ? state : home,
                     given ? "" : "/.local/state", machine_name);
    if (n >= MACHINE_PATH_MAX - MACHINE_NAME_MAX - 16)
        return machine_fail(ERR_INVALID, "the folder of snapshots: too long a path; set XDG_STATE_HOME");
    return make_folders(path);
}

enum err snapshot_files_path(const char *machine_name, const char *name, char *path, size_t bytes)
{
    char folder[MACHINE_PATH_MAX] = "";
    enum err e = rundir_check_name(name);

    if (e == ERR_OK)
        e = folder_path(machine_name, folder);
    if (e == ERR_OK && (size_t)snprintf(path, bytes, "%s/%s%s", folder, name, ending) >= bytes)
        return machine_fail(ERR_INVALID, "snapshot %s: too long a path", name);
    return e;
}

enum err snapshot_files_name(const char *machine_name, const char *name, char ret_name[MACHINE_NAME_MAX + 1])
{
    char path[MACHINE_PATH_MAX];

    if (name) {
        enum err e = rundir_check_name(name);
        if (e == ERR_OK)
            strcpy(ret_name, name);
        return e;
    }
    for (int i = 1; i <= SNAPSHOTS_MAX; i++) {
        snprintf(ret_name, MACHINE_NAME_MAX + 1, "snapshot-%d", i);
        enum err e = snapshot_files_path(machine_name, ret_name, path, sizeof path);
        if (e != ERR_OK || access(path, F_OK) != 0)
            return e;
    }
    return machine_fail(ERR_FULL, "machine '%s' has too many snapshots", machine_name);
}

static void close_directory(DIR **folder)
{
    if (*folder)
        closedir(*folder);
}

enum err snapshot_files_list(const char *machine_name, char (**ret_names)[MACHINE_NAME_MAX + 1], size_t *ret_count)
{
    OWN(memory) char(*names)[MACHINE_NAME_MAX + 1] = NULL;
    char path[MACHINE_PATH_MAX];
    size_t count = 0;
    enum err e = folder_path(machine_name, path);
    CLOSED_BY(close_directory) DIR *folder = e == ERR_OK ? opendir(path) : NULL;

    for (struct dirent *entry; folder && count < SNAPSHOTS_MAX && (entry = readdir(folder));) {
        size_t length = strlen(entry->d_name), name_length = length - strlen(ending);
        if (length <= strlen(ending) || name_length > MACHINE_NAME_MAX ||
            strcmp(entry->d_name + name_length, ending) != 0)
            continue;
        char(*more)[MACHINE_NAME_MAX + 1] = realloc(names, (count + 1) * sizeof *names);
        if (!more)
            return machine_fail(ERR_NOMEM, "out of memory");
        names = more;
        snprintf(names[count], sizeof names[count], "%.*s", (int)name_length, entry->d_name);
        if (rundir_check_name(names[count]) == ERR_OK)
            count++;
    }
    *ret_names = MOVE(names);
    *ret_count = count;
    return e;
}

/* ---- which one a machine stems from ---- */

static const char *current_path(const struct machine_info *machine, char path[MACHINE_PATH_MAX + 16])
{
    snprintf(path, MACHINE_PATH_MAX + 16, "%s/snapshot", machine->folder);
    return path;
}

void snapshot_files_current(const struct machine_info *machine, char ret_name[MACHINE_NAME_MAX + 1])
{
    char path[MACHINE_PATH_MAX + 16];
    OWN(descriptor) int fd = open(current_path(machine, path), O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
    ssize_t n = fd < 0 ? 0 : read(fd, ret_name, MACHINE_NAME_MAX);

    ret_name[n > 0 ? n : 0] = '\0';
    if (*ret_name && rundir_check_name(ret_name) != ERR_OK)
        *ret_name = '\0';
}

/* It decides what is drawn, and nothing else: a failure is none. */
void snapshot_files_set_current(const struct machine_info *machine, const char *name)
{
    char path[MACHINE_PATH_MAX + 16];
    OWN(descriptor)
    int fd = open(current_path(machine, path), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW, 0600);

    if (fd >= 0)
        (void)!descriptor_write(fd, name, strlen(name));
}

void snapshot_files_clear_current(const struct machine_info *machine)
{
    char path[MACHINE_PATH_MAX + 16];

    (void)!unlink(current_path(machine, path));
}

void snapshot_files_parent(const char *machine_name, const char *name, char ret_parent[MACHINE_NAME_MAX + 1])
{
    CLOSED_BY(container_close) struct container c = {0};
    char path[MACHINE_PATH_MAX], why[CONTAINER_WHY];
    struct snapshot_info info = {0};

    if (snapshot_files_path(machine_name, name, path, sizeof path) == ERR_OK &&
        container_open(path, SNAPSHOT_FILE, &c, why) == ERR_OK && snapshots_parse(&c, &info) != ERR_OK)
        info.parent[0] = '\0';
    strcpy(ret_parent, strcmp(info.parent, name) == 0 ? "" : info.parent);
}
