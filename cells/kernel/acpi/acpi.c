/* See acpi.h. Every table is mapped by itself, since firmware puts them outside of what is called memory. */
#include "cells/kernel/acpi/acpi.h"
#include "cells/kernel/boot/boot.h"
#include "cells/kernel/lock/lock.h"
#include "cells/kernel/page/page.h"
#include "cells/lib/string/string.h"

CELL("acpi", KERNEL, 1);
EXPORT(acpi_find, DRIVER);

#define BIOS_AREA       0xe0000ul
#define BIOS_AREA_BYTES 0x20000ul
#define TABLE_BYTES_MAX 0x100000

static struct lock kept_lock;
static struct mapped_pages *kept[8] GUARDED_BY(kept_lock); /* tables that were asked for */
static unsigned kept_count GUARDED_BY(kept_lock);

struct rsdp {
    char signature[8];
    uint8_t checksum;
    char oem[6];
    uint8_t revision;
    uint32_t rsdt;
    uint32_t bytes; /* from here on: revision 2 */
    uint64_t xsdt;
    uint8_t checksum_all, reserved[3];
} __attribute__((packed));

#define RSDP_BYTES_OLD 20
_Static_assert(sizeof(struct rsdp) == sizeof((struct boot_info *)0)->rsdp);

static const void *at(const struct mapped_pages *mp, uint64_t phys)
{
    return (const char *)page_start(mp) + phys % 4096;
}

static bool sums_to_zero(const void *data, size_t bytes)
{
    const uint8_t *p = data;
    uint8_t sum = 0;

    for (size_t i = 0; i < bytes; i++)
        sum = (uint8_t)(sum + p[i]);
    return sum == 0;
}

static uint64_t search_bios_area(void)
{
    OWN(mapped_pages) struct mapped_pages *mp = page_map_device(BIOS_AREA, BIOS_AREA_BYTES, PAGE_READ);

    for (uint64_t offset = 0; mp && offset < BIOS_AREA_BYTES; offset += 16) {
        const char *p = (const char *)page_start(mp) + offset;
        if (!memcmp(p, "RSD PTR ", 8) && sums_to_zero(p, RSDP_BYTES_OLD))
            return BIOS_AREA + offset;
    }
    return 0;
}

/* Maps the table at `phys`; NULL when it can't be one. */
static struct mapped_pages *map_table(uint64_t phys)
{
    uint32_t bytes;
    {
        OWN(mapped_pages) struct mapped_pages *mp = page_map_device(phys, sizeof(struct acpi_table), PAGE_READ);
        if (!mp)
            return NULL;
        bytes = ((const struct acpi_table *)at(mp, phys))->bytes;
    }
    if (bytes < sizeof(struct acpi_table) || bytes > TABLE_BYTES_MAX)
        return NULL;
    return page_map_device(phys, bytes, PAGE_READ);
}

/* Looks through the root table at `root`, whose entries have `width` bytes. */
static enum err search_root(uint64_t root, size_t width, const char *signature, const struct acpi_table **ret_table)
{
    OWN(mapped_pages) struct mapped_pages *root_pages = map_table(root);

    if (!root_pages)
        return ERR_CORRUPT;
    const struct acpi_table *header = at(root_pages, root);
    const uint8_t *entries = (const uint8_t *)(header + 1);
    size_t count = (header->bytes - sizeof *header) / width;

    if (!sums_to_zero(header, header->bytes))
        return ERR_CORRUPT;
    for (size_t i = 0; i < count; i++) {
        uint64_t phys = 0;
        memcpy(&phys, entries + i * width, width);
        OWN(mapped_pages) struct mapped_pages *mp = phys ? map_table(phys) : NULL;
        if (!mp)
            continue;
        const struct acpi_table *table = at(mp, phys);
        if (memcmp(table->signature, signature, 4) || !sums_to_zero(table, table->bytes))
            continue;
        GUARD(lock) held = lock_take(&kept_lock);
        if (kept_count == array_size(kept))
            return ERR_FULL;
        kept[kept_count++] = MOVE(mp);
        *ret_table = table;
        return ERR_OK;
    }
    return ERR_NOT_FOUND;
}

static enum err read_rsdp(struct rsdp *ret_rsdp)
{
    const struct boot_info *boot = boot_get();
    uint64_t phys = boot->rsdp_phys;

    memset(ret_rsdp, 0, sizeof *ret_rsdp);
    if (!phys && boot->rsdp_bytes) {
        memcpy(ret_rsdp, boot->rsdp, boot->rsdp_bytes);
        return ERR_OK;
    }
    if (!phys)
        phys = search_bios_area();
    if (!phys)
        return ERR_NOT_FOUND;
    OWN(mapped_pages) struct mapped_pages *mp = page_map_device(phys, sizeof *ret_rsdp, PAGE_READ);
    if (!mp)
        return ERR_NOMEM;
    memcpy(ret_rsdp, at(mp, phys), sizeof *ret_rsdp);
    return ERR_OK;
}

enum err acpi_find(const char *signature, const struct acpi_table **ret_table)
{
    struct rsdp rsdp;
    enum err e = read_rsdp(&rsdp);

    if (e != ERR_OK)
        return e;
    if (memcmp(rsdp.signature, "RSD PTR ", 8) || !sums_to_zero(&rsdp, RSDP_BYTES_OLD))
        return ERR_CORRUPT;
    if (rsdp.revision >= 2 && rsdp.xsdt)
        return search_root(rsdp.xsdt, 8, signature, ret_table);
    return search_root(rsdp.rsdt, 4, signature, ret_table);
}
