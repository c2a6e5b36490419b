/* Finds ACPI tables by signature, from the boot loader's RSDP or the one in the BIOS area (ACPI 6.4 §5.2). It
 * interprets no table and runs no AML. */
#pragma once
#include "cells/cell.h"

struct acpi_table {
    char signature[4];
    uint32_t bytes; /* of the whole table, this header included */
    uint8_t revision, checksum;
    char oem[6], oem_table[8];
    uint32_t oem_revision, creator, creator_revision;
};

/* Finds the first table of that signature whose checksum is right. It stays mapped, read-only. ERR_NOT_FOUND: no
 * RSDP, or no such table. ERR_CORRUPT: the RSDP or the root table is. ERR_FULL: eight others have been found before.
 * ERR_NOMEM. A table that was found once is found again without any memory. */
enum err acpi_find(const char *signature, const struct acpi_table **ret_table);
