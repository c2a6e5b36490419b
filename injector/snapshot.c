/* See snapshot.h. */
#include "injector/snapshot.h"
#include "introspect/base/json.h"
#include "vmm/machine/qcow2.h"
#include "vmm/machine/qmp.h"
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { QMP_MS = 10000 };

enum err snapshot_disk(int *ret_fd)
{
    char path[] = "/tmp/delias-snapshot-XXXXXX";
    OWN(descriptor) int fd = mkostemp(path, O_CLOEXEC);

    if (fd < 0 || unlink(path) != 0 || !qcow2_write(fd))
        return ERR_IO;
    *ret_fd = MOVE_DESCRIPTOR(fd);
    return ERR_OK;
}

enum err snapshot_attach(struct machine_config *config, int disk)
{
    size_t used = strlen(config->extra), room = sizeof config->extra - used;
    char argument[128];

    int length = snprintf(argument, sizeof argument,
                          " -drive if=none,id=snapshot,format=qcow2,cache=unsafe,file=/proc/%d/fd/%d", getpid(), disk);
    if ((size_t)length >= room)
        return ERR_RANGE;
    memcpy(config->extra + used, argument, (size_t)length + 1);
    return ERR_OK;
}

/* A line of QEMU's own monitor; it answers nothing when all is well. */
static enum err monitor(struct machine *machine, const char *line)
{
    OWN(qmp) struct qmp *qmp = NULL;
    OWN(json) json_t *value = NULL;
    enum err e = qmp_open(machine_info(machine)->qmp, machine_info(machine)->pid, QMP_MS, &qmp);

    if (e != ERR_OK)
        return e;
    e = qmp_command(qmp, "human-monitor-command", json_pack("{s:s}", "command-line", line), QMP_MS, &value);
    if (e != ERR_OK)
        return e;
    const char *answer = json_string_value(value);
    return answer && !*answer ? ERR_OK : ERR_UNSUPPORTED;
}

enum err snapshot_take(struct machine *machine)
{
    return monitor(machine, "savevm clean");
}

enum err snapshot_restore(struct machine *machine)
{
    return monitor(machine, "loadvm clean");
}
