/* See acpi.h. Maps each table by itself, since firmware puts them outside of memory. Trusts no length or checksum. */
#include "cells/task/acpi/acpi.h"
#include "cells/core/boot/boot.h"
#include "cells/core/lock/lock.h"
#include "cells/core/page/page.h"
#include "cells/lib/string/string.h"

CELL("acpi", KERNEL, 1);
EXPORT(acpi_find, DRIVER);

#define BIOS_AREA       0xe0000ul
#define BIOS_AREA_BYTES 0x20000ul
#define TABLE_BYTES_MAX 0x100000
#define TABLES_MAX      8

static struct lock kept_lock;
static const struct acpi_table *kept[TABLES_MAX] GUARDED_BY(kept_lock); /* the tables found */
static struct mapped_pages *kept_pages[TABLES_MAX] GUARDED_BY(kept_lock);
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

static const void *mapped_at(const struct mapped_pages *mp, uint64_t phys)
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

/* A table that was found before. NULL: none of that signature was. */
static const struct acpi_table *find_kept(const char *signature)
{
    GUARD(lock) held = lock_take(&kept_lock);

    for (unsigned i = 0; i < kept_count; i++)
        if (!memcmp(kept[i]->signature, signature, 4))
            return kept[i];
    return NULL;
}

/* Maps the table at `phys`. NULL: it cannot be one. */
static struct mapped_pages *map_table(uint64_t phys)
{
    uint32_t bytes;
    {
        OWN(mapped_pages) struct mapped_pages *mp = page_map_device(phys, sizeof(struct acpi_table), PAGE_READ);
        if (!mp)
            return NULL;
        bytes = ((const struct acpi_table *)mapped_at(mp, phys))->bytes;
    }
    if (bytes < sizeof(struct acpi_table) || bytes > TABLE_BYTES_MAX)
        return NULL;
    return page_map_device(phys, bytes, PAGE_READ);
}

/* Maps the table at `phys` if it is the one. NULL: it is not. */
static struct mapped_pages *map_wanted(uint64_t phys, const char *signature)
{
    OWN(mapped_pages) struct mapped_pages *mp = phys ? map_table(phys) : NULL;

    if (!mp)
        return NULL;
    const struct acpi_table *table = mapped_at(mp, phys);
    bool wanted = !memcmp(table->signature, signature, 4) && sums_to_zero(table, table->bytes);
    return wanted ? MOVE(mp) : NULL;
}

static enum err keep_mapped(TAKES struct mapped_pages *pages, const struct acpi_table *table)
{
    OWN(mapped_pages) struct mapped_pages *mp = pages;
    GUARD(lock) held = lock_take(&kept_lock);

    if (kept_count == array_size(kept))
        return ERR_FULL;
    kept_pages[kept_count] = MOVE(mp);
    kept[kept_count++] = table;
    return ERR_OK;
}

/* Searches the root table at `root`, whose entries have `width` bytes. */
static enum err search_root(uint64_t root, size_t width, const char *signature, const struct acpi_table **ret_table)
{
    OWN(mapped_pages) struct mapped_pages *root_pages = map_table(root);

    if (!root_pages)
        return ERR_CORRUPT;
    const struct acpi_table *header = mapped_at(root_pages, root);
    const uint8_t *entries = (const uint8_t *)(header + 1);
    size_t count = (header->bytes - sizeof *header) / width;

    if (!sums_to_zero(header, header->bytes))
        return ERR_CORRUPT;
    for (size_t i = 0; i < count; i++) {
        uint64_t phys = 0;
        memcpy(&phys, entries + i * width, width);
        struct mapped_pages *mp = map_wanted(phys, signature);
        if (!mp)
            continue;
        const struct acpi_table *table = mapped_at(mp, phys);
        enum err e = keep_mapped(mp, table);
        if (!e)
            *ret_table = table;
        return e;
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
    memcpy(ret_rsdp, mapped_at(mp, phys), sizeof *ret_rsdp);
    return ERR_OK;
}

enum err acpi_find(const char *signature, const struct acpi_table **ret_table)
{
    const struct acpi_table *found = find_kept(signature);
    struct rsdp rsdp;

    if (found) {
        *ret_table = found;
        return ERR_OK;
    }
    enum err e = read_rsdp(&rsdp);
    if (e != ERR_OK)
        return e;
    if (memcmp(rsdp.signature, "RSD PTR ", 8) || !sums_to_zero(&rsdp, RSDP_BYTES_OLD))
        return ERR_CORRUPT;
    if (rsdp.revision >= 2 && rsdp.xsdt)
        return search_root(rsdp.xsdt, 8, signature, ret_table);
    return search_root(rsdp.rsdt, 4, signature, ret_table);
}
