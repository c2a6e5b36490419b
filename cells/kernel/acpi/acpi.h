/* ACPI tables by signature, from the boot loader's RSDP or the BIOS area (ACPI 6.4 §5.2). Interprets none of them, and
 * runs no AML. */
#pragma once
#include "cells/cell.h"

struct acpi_table {
    char signature[4];
    uint32_t bytes; /* of the whole table, this header included */
    uint8_t revision, checksum;
    char oem[6], oem_table[8];
    uint32_t oem_revision, creator, creator_revision;
};

/* The first table of that signature whose checksum is right; stays mapped, read-only. ERR_NOT_FOUND,
 * ERR_CORRUPT; ERR_FULL after eight tables. */
enum err acpi_find(const char *signature, const struct acpi_table **ret_table);
