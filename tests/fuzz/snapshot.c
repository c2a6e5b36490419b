/* Arbitrary bytes as a snapshot, with checksums made right where they can be, so that what is behind
 * them is reached too.
 *
 * sources: vmm/machine introspect/base
 */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include "vmm/machine/ram_image.h"
#include "vmm/machine/snapshots.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* A header and a table that pass; the rest is as it was. */
static void make_right(uint8_t *bytes, size_t size)
{
    struct container_header *h = (void *)bytes;

    if (size < sizeof *h)
        return;
    h->magic = CONTAINER_MAGIC;
    h->version = CONTAINER_VERSION;
    h->kind = SNAPSHOT_FILE;
    h->bytes = size;
    if (h->table % 8 == 0 && h->table >= sizeof *h && h->table <= size) {
        size_t bytes_left = size - h->table;
        h->table_checksum = container_checksum(0, bytes + h->table, bytes_left);
        h->parts = bytes_left / sizeof(struct container_part);
    }
    h->checksum = container_checksum(0, h, offsetof(struct container_header, checksum));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    uint8_t *copy = malloc(size + !size);
    char why[CONTAINER_WHY];
    struct snapshot_info info;
    struct container c;

    if (!copy)
        return 0;
    memcpy(copy, data, size);
    for (int right = 0; right < 2; right++) {
        if (right)
            make_right(copy, size);
        if (container_parse(copy, size, SNAPSHOT_FILE, &c, why) != ERR_OK)
            continue;
        (void)!container_verify(&c, why);
        if (snapshots_parse(&c, &info) == ERR_OK && ram_image_pages(&c) > info.ram_bytes / RAM_IMAGE_PAGE)
            abort();
    }
    free(copy);
    return 0;
}
