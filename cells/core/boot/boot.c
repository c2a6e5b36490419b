/* See boot.h. Reads PVH start info or Multiboot2 tags once, through the early direct map. Invariant: no byte is read
 * beyond the end of the early direct map or, of a tag, beyond the tag. */
#include "cells/core/boot/boot.h"
#include "cells/core/boot/image.h"
#include "cells/core/cpu/cpu.h"
#include "cells/lib/string/string.h"
#include "guest/abi/layout.h"
#include "guest/abi/pvh.h"

CELL("boot", KERNEL, 1);
CORE();
EXPORT(boot_init, KERNEL);
EXPORT(boot_get, LIBRARY);
EXPORT(boot_option, APPLICATION);

#define EARLY_LIMIT 0x100000000 /* the early direct map ends here */

enum multiboot_tag_type {
    TAG_END = 0,
    TAG_CMDLINE = 1,
    TAG_MODULE = 3,
    TAG_MEMORY = 6,
    TAG_SCREEN = 8,
    TAG_ACPI_OLD = 14,
    TAG_ACPI_NEW = 15,
};
struct multiboot_tag {
    uint32_t type, bytes;
    uint8_t body[];
};
struct multiboot_module {
    uint32_t start, end;
};
struct multiboot_memory {
    uint32_t entry_bytes, version;
    uint8_t entries[];
};
struct multiboot_screen {
    uint64_t phys;
    uint32_t pitch, width, height;
    uint8_t bits, type, reserved[2];
    uint8_t red_shift, red_bits, green_shift, green_bits, blue_shift, blue_bits;
} __attribute__((packed));

static struct boot_info info;
SET_ONCE(info);

const struct boot_info *boot_get(void)
{
    return &info;
}

/* Pointer to bytes of boot memory; NULL: the early direct map does not reach them. */
static const void *early(uint64_t phys, uint64_t bytes)
{
    if (!phys || phys >= EARLY_LIMIT || bytes > EARLY_LIMIT - phys)
        return NULL;
    return (const void *)(LAYOUT_DIRECT_VIRT + phys);
}

static void add_range(uint64_t phys, uint64_t bytes, uint32_t type)
{
    if (info.ranges < BOOT_RANGES_MAX && bytes)
        info.range[info.ranges++] = (struct boot_range){phys, bytes, type == PVH_USABLE};
}

static enum err read_pvh(uint64_t phys)
{
    const struct pvh_info *pvh = early(phys, sizeof *pvh);

    if (!pvh || pvh->magic != PVH_MAGIC || pvh->version < 1)
        return ERR_PROTOCOL;
    const char *cmdline = early(pvh->cmdline, sizeof info.cmdline);
    const struct pvh_module *module = early(pvh->module_list, sizeof *module);
    const struct pvh_range *range = early(pvh->memory_map, pvh->memory_ranges * sizeof *range);

    if (cmdline)
        string_copy(info.cmdline, cmdline, sizeof info.cmdline);
    if (pvh->modules && module) {
        info.archive_phys = module->phys;
        info.archive_bytes = module->bytes;
    }
    for (uint32_t i = 0; range && i < pvh->memory_ranges; i++)
        add_range(range[i].phys, range[i].bytes, range[i].type);
    info.rsdp_phys = pvh->rsdp;
    return ERR_OK;
}

static void read_memory_tag(const struct multiboot_memory *memory, uint32_t bytes)
{
    if (memory->entry_bytes < sizeof(struct pvh_range))
        return;
    for (uint32_t at = 0; at + memory->entry_bytes <= bytes - sizeof *memory; at += memory->entry_bytes) {
        const struct pvh_range *range = (const void *)(memory->entries + at);
        add_range(range->phys, range->bytes, range->type);
    }
}

static void read_screen_tag(const struct multiboot_screen *screen)
{
    info.screen.phys = screen->phys;
    info.screen.pitch = screen->pitch;
    info.screen.width = screen->width;
    info.screen.height = screen->height;
    info.screen.bits = screen->bits;
    info.screen.text = screen->type == 2;
    info.screen.red_shift = screen->red_shift;
    info.screen.green_shift = screen->green_shift;
    info.screen.blue_shift = screen->blue_shift;
}

static void read_tag(const struct multiboot_tag *tag, uint32_t bytes)
{
    const struct multiboot_module *module = (const void *)tag->body;

    switch (tag->type) {
    case TAG_CMDLINE:
        string_copy(info.cmdline, (const char *)tag->body, bytes < sizeof info.cmdline ? bytes : sizeof info.cmdline);
        break;
    case TAG_MODULE:
        if (!info.archive_bytes && bytes >= sizeof *module && module->end > module->start) {
            info.archive_phys = module->start;
            info.archive_bytes = module->end - module->start;
        }
        break;
    case TAG_MEMORY:
        if (bytes >= sizeof(struct multiboot_memory))
            read_memory_tag((const void *)tag->body, bytes);
        break;
    case TAG_SCREEN:
        if (bytes >= sizeof(struct multiboot_screen) - 6)
            read_screen_tag((const void *)tag->body);
        break;
    case TAG_ACPI_OLD:
    case TAG_ACPI_NEW:
        info.rsdp_bytes = bytes < sizeof info.rsdp ? bytes : sizeof info.rsdp;
        memcpy(info.rsdp, tag->body, info.rsdp_bytes);
        break;
    }
}

static enum err read_multiboot(uint64_t phys)
{
    const uint32_t *total = early(phys, 8);
    const uint8_t *start = total ? early(phys, *total) : NULL;

    if (!start)
        return ERR_PROTOCOL;
    for (uint32_t at = 8; at + sizeof(struct multiboot_tag) <= *total;) {
        const struct multiboot_tag *tag = (const void *)(start + at);
        if (tag->type == TAG_END)
            return ERR_OK;
        if (tag->bytes < sizeof *tag || tag->bytes > *total - at)
            return ERR_TRUNCATED;
        read_tag(tag, tag->bytes - (uint32_t)sizeof *tag);
        at += (tag->bytes + 7) & ~7u;
    }
    return ERR_TRUNCATED;
}

enum err boot_init(unsigned entry, uint64_t phys)
{
    info.entry_tsc = cpu_tsc();
    return entry == IMAGE_ENTRY_PVH ? read_pvh(phys) : read_multiboot(phys);
}

bool boot_option(const char *key, char *ret_value, size_t bytes)
{
    size_t length = string_length(key);

    for (const char *word = info.cmdline; *word; word++) {
        if ((word != info.cmdline && word[-1] != ' ') || !string_starts(word, key) || word[length] != '=')
            continue;
        size_t n = 0;
        for (const char *c = word + length + 1; *c && *c != ' ' && n + 1 < bytes; c++)
            ret_value[n++] = *c;
        ret_value[n] = 0;
        return true;
    }
    return false;
}
