/* What the boot loader has passed, in one form for PVH and Multiboot2. Strings and tables are copies, so that the boot
 * loader's memory can be reused. Invariant: constant after boot_init. */
#pragma once
#include "cells/cell.h"

#define BOOT_RANGES_MAX 64

struct boot_range {
    uint64_t phys, bytes;
    bool usable;
};

struct boot_info {
    struct boot_range range[BOOT_RANGES_MAX];
    unsigned ranges;
    uint64_t archive_phys, archive_bytes; /* 0 bytes: none was given */
    uint64_t rsdp_phys;                   /* 0: rsdp_bytes of a copy; when that is 0 too, search the BIOS area */
    uint8_t rsdp[36];
    uint32_t rsdp_bytes;
    char cmdline[512];
    uint64_t entry_tsc;
    struct {
        uint64_t phys; /* 0: no linear frame buffer; text mode may be at 0xb8000 */
        uint32_t pitch, width, height;
        uint8_t bits, red_shift, green_shift, blue_shift;
        bool text; /* an EGA text buffer of width x height cells */
    } screen;
};

/* Copies the boot loader's information from `phys`; `entry` is one of IMAGE_ENTRY_*. Once, on the early page tables.
 * ERR_PROTOCOL: there is none at `phys`. ERR_TRUNCATED: it is cut off; what was read before is kept. */
enum err boot_init(unsigned entry, uint64_t phys);

/* The boot information, borrowed. */
const struct boot_info *boot_get(void);

/* Copies the value of `key=value` from the command line, cut to `bytes`, NUL included. False: the key is not there;
 * ret_value is untouched. */
bool boot_option(const char *key, char *ret_value, size_t bytes);
