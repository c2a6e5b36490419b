/* See state.h. */
#include "vmm/machine/state.h"
#include "introspect/base/json.h"
#include "vmm/machine/error.h"
#include "vmm/machine/qcow2.h"
#include "vmm/machine/qmp.h"
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

enum { STATE_MS = 60000, STATE_STEP_MS = 2, STATE_MOST = 64 << 20 };
static const char node[] = "delias-state", tag[] = "state";

static enum err read_file(int fd, const char *name, uint8_t **ret_bytes, size_t *ret_count)
{
    struct stat st;

    if (fd < 0 || fstat(fd, &st) != 0)
        return machine_fail(ERR_IO, "%s: %s", name, strerror(errno));
    if (st.st_size == 0 || st.st_size > STATE_MOST)
        return machine_fail(ERR_INVALID, "%s: %lld bytes of state", name, (long long)st.st_size);
    OWN(memory) uint8_t *bytes = malloc((size_t)st.st_size);
    if (!bytes)
        return machine_fail(ERR_NOMEM, "out of memory");
    for (off_t at = 0; at < st.st_size;) {
        ssize_t n = pread(fd, bytes + at, (size_t)(st.st_size - at), at);
        if (n <= 0 && !(n < 0 && errno == EINTR))
            return machine_fail(ERR_IO, "%s: %s", name, n ? strerror(errno) : "it became shorter");
        at += n > 0 ? n : 0;
    }
    *ret_bytes = MOVE(bytes);
    *ret_count = (size_t)st.st_size;
    return ERR_OK;
}

/* ---- QEMU ---- */

static json_t *find_job(json_t *jobs, const char *id)
{
    json_t *job;
    size_t i;

    json_array_foreach(jobs, i, job)
    {
        const char *name = json_string_value(json_object_get(job, "id"));
        if (name && strcmp(name, id) == 0)
            return job;
    }
    return NULL;
}

/* Waits for the end of a job, and forgets it. One that is not there has ended. */
static enum err finish_job(struct qmp *qmp, const char *id)
{
    for (int waited = 0; waited < STATE_MS; waited += STATE_STEP_MS) {
        OWN(json) json_t *jobs = NULL;
        enum err e = qmp_command(qmp, "query-jobs", NULL, STATE_MS, &jobs);
        json_t *job = find_job(jobs, id);
        const char *status = json_string_value(json_object_get(job, "status"));

        if (e != ERR_OK || !job)
            return e;
        if (status && strcmp(status, "concluded") == 0) {
            const char *why = json_string_value(json_object_get(job, "error"));
            if (why)
                e = machine_fail(ERR_IO, "QEMU: %.300s", why);
            enum err end = qmp_command(qmp, "job-dismiss", json_pack("{s:s}", "id", id), STATE_MS, NULL);
            return e != ERR_OK ? e : end;
        }
        usleep(STATE_STEP_MS * 1000);
    }
    return machine_fail(ERR_TIMEOUT, "QEMU: its job %s does not end", id);
}

static enum err ignore_ram(struct qmp *qmp, bool on)
{
    return qmp_command(
        qmp, "migrate-set-capabilities",
        json_pack("{s:[{s:s,s:b}]}", "capabilities", "capability", "x-ignore-shared", "state", on ? 1 : 0), STATE_MS,
        NULL);
}

static enum err add_disk(struct qmp *qmp, int disk)
{
    char path[64];

    snprintf(path, sizeof path, "/proc/%d/fd/%d", getpid(), disk);
    return qmp_command(qmp, "blockdev-add",
                       json_pack("{s:s,s:s,s:{s:s,s:s,s:s}}", "driver", "qcow2", "node-name", node, "file", "driver",
                                 "file", "filename", path, "locking", "off"),
                       STATE_MS, NULL);
}

static enum err remove_disk(struct qmp *qmp)
{
    return qmp_command(qmp, "blockdev-del", json_pack("{s:s}", "node-name", node), STATE_MS, NULL);
}

/* Has QEMU execute `command`, snapshot-save or snapshot-load, on the disk. What a program that was killed meanwhile
 * left in QEMU goes first. */
static enum err run_on_disk(struct machine *machine, const char *command, int disk)
{
    OWN(qmp) struct qmp *qmp = NULL;
    enum err e = qmp_open(machine_info(machine)->control, machine_info(machine)->pid, STATE_MS, &qmp);

    if (e != ERR_OK)
        return e;
    (void)!finish_job(qmp, command);
    (void)!remove_disk(qmp);
    e = add_disk(qmp, disk);
    if (e != ERR_OK)
        return e;
    e = ignore_ram(qmp, true);
    if (e == ERR_OK)
        e = qmp_command(
            qmp, command,
            json_pack("{s:s,s:s,s:s,s:[s]}", "job-id", command, "tag", tag, "vmstate", node, "devices", node), STATE_MS,
            NULL);
    if (e == ERR_OK)
        e = finish_job(qmp, command);
    enum err off = ignore_ram(qmp, false), gone = remove_disk(qmp);
    return e != ERR_OK ? e : off != ERR_OK ? off : gone;
}

static int new_disk(void)
{
    int fd = memfd_create(node, MFD_CLOEXEC);

    if (fd < 0)
        (void)!machine_fail(ERR_NOMEM, "no memory for a machine's state: %s", strerror(errno));
    return fd;
}

static enum err fetch_qemu(struct machine *machine, uint8_t **ret_bytes, size_t *ret_count)
{
    OWN(descriptor) int disk = new_disk();

    if (disk < 0 || !qcow2_write(disk))
        return machine_fail(ERR_NOMEM, "no memory for a machine's state: %s", strerror(errno));
    enum err e = run_on_disk(machine, "snapshot-save", disk);
    return e == ERR_OK ? read_file(disk, "QEMU's state", ret_bytes, ret_count) : e;
}

static enum err give_qemu(struct machine *machine, const uint8_t *bytes, size_t count)
{
    OWN(descriptor) int disk = new_disk();

    if (disk < 0 || !descriptor_write(disk, (const char *)bytes, count))
        return machine_fail(ERR_NOMEM, "no memory for a machine's state: %s", strerror(errno));
    return run_on_disk(machine, "snapshot-load", disk);
}

/* ---- delias-vmm ---- */

static enum err ask_vmm(struct machine *machine, const char *command, const char *path)
{
    OWN(qmp) struct qmp *qmp = NULL;
    enum err e = qmp_open(machine_info(machine)->control, machine_info(machine)->pid, STATE_MS, &qmp);

    return e == ERR_OK ? qmp_command(qmp, command, json_pack("{s:s}", "filename", path), STATE_MS, NULL) : e;
}

static enum err fetch_vmm(struct machine *machine, uint8_t **ret_bytes, size_t *ret_count)
{
    char path[MACHINE_PATH_MAX + 8];

    snprintf(path, sizeof path, "%s/state", machine_info(machine)->folder);
    enum err e = ask_vmm(machine, "save-state", path);
    if (e != ERR_OK)
        return e;
    OWN(descriptor) int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
    e = read_file(fd, path, ret_bytes, ret_count);
    (void)!unlink(path);
    return e;
}

static enum err give_vmm(struct machine *machine, const uint8_t *bytes, size_t count)
{
    char path[MACHINE_PATH_MAX + 8];

    snprintf(path, sizeof path, "%s/state", machine_info(machine)->folder);
    OWN(descriptor) int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW, 0600);
    if (fd < 0 || !descriptor_write(fd, (const char *)bytes, count))
        return machine_fail(ERR_IO, "%s: %s", path, strerror(errno));
    enum err e = ask_vmm(machine, "load-state", path);
    (void)!unlink(path);
    return e;
}

/* Over sockets that libvirt keeps for itself. */
static enum err refuse_domain(const struct machine *machine)
{
    const struct machine_info *info = machine_info(machine);

    return machine_fail(
        ERR_UNSUPPORTED,
        "machine '%s': libvirt has its state; 'virsh -c %s save' and 'restore' keep it, and bring it back", info->name,
        info->connect);
}

enum err state_fetch(struct machine *machine, uint8_t **ret_bytes, size_t *ret_count)
{
    if (machine_info(machine)->connect[0])
        return refuse_domain(machine);
    return (machine_info(machine)->backend == MACHINE_KVM ? fetch_vmm : fetch_qemu)(machine, ret_bytes, ret_count);
}

enum err state_give(struct machine *machine, const uint8_t *bytes, size_t count)
{
    if (machine_info(machine)->connect[0])
        return refuse_domain(machine);
    return (machine_info(machine)->backend == MACHINE_KVM ? give_vmm : give_qemu)(machine, bytes, count);
}
