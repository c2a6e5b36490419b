/* See snapshot.h. The disk is written here, so that no program is needed for it: four clusters of a qcow2 file. */
#include "injector/snapshot.h"
#include "introspect/base/json.h"
#include "vmm/machine/qmp.h"
#include <endian.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { CLUSTER = 1 << 16, CLUSTERS = 4, REFCOUNTS = 1, REFCOUNT_BLOCK = 2, L1 = 3, QMP_MS = 10000 };

/* QEMU's docs/interop/qcow2.txt; all fields big-endian. */
struct qcow2_header {
    uint32_t magic, version;
    uint64_t backing_offset;
    uint32_t backing_bytes, cluster_bits;
    uint64_t size;
    uint32_t crypt, l1_size;
    uint64_t l1_offset, refcounts_offset;
    uint32_t refcounts_clusters, snapshots;
    uint64_t snapshots_offset, incompatible, compatible, autoclear;
    uint32_t refcount_order, header_bytes;
};
_Static_assert(sizeof(struct qcow2_header) == 104);

static bool write_disk(int fd)
{
    const struct qcow2_header header = {
        .magic = htobe32(0x514649fb), /* "QFI\xfb" */
        .version = htobe32(3),
        .cluster_bits = htobe32(16),
        .size = htobe64(CLUSTER),
        .l1_size = htobe32(1),
        .l1_offset = htobe64(L1 * CLUSTER),
        .refcounts_offset = htobe64(REFCOUNTS * CLUSTER),
        .refcounts_clusters = htobe32(1),
        .refcount_order = htobe32(4),
        .header_bytes = htobe32(sizeof header),
    };
    const uint64_t block = htobe64(REFCOUNT_BLOCK * CLUSTER);
    uint16_t used[CLUSTERS];

    for (int i = 0; i < CLUSTERS; i++)
        used[i] = htobe16(1);
    return ftruncate(fd, CLUSTERS * CLUSTER) == 0 && pwrite(fd, &header, sizeof header, 0) == sizeof header &&
           pwrite(fd, &block, sizeof block, REFCOUNTS * CLUSTER) == sizeof block &&
           pwrite(fd, used, sizeof used, REFCOUNT_BLOCK * CLUSTER) == sizeof used;
}

enum err snapshot_disk(int *ret_fd)
{
    char path[] = "/tmp/delias-snapshot-XXXXXX";
    OWN(descriptor) int fd = mkostemp(path, O_CLOEXEC);

    if (fd < 0 || unlink(path) != 0 || !write_disk(fd))
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
