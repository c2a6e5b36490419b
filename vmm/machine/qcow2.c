/* See qcow2.h. */
#include "vmm/machine/qcow2.h"
#include <endian.h>
#include <stdint.h>
#include <unistd.h>

enum { CLUSTER = 1 << 16, CLUSTERS = 4, REFCOUNTS = 1, REFCOUNT_BLOCK = 2, L1 = 3 };

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

bool qcow2_write(int fd)
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
