/* The MADT, which says what interrupt controllers there are (ACPI 6.4 §5.2.12). Trusts no length in it. */
#pragma once
#include "cells/lib/string/string.h"
#include "cells/task/acpi/acpi.h"

enum madt_type { MADT_LOCAL = 0, MADT_IO = 1, MADT_OVERRIDE = 2, MADT_X2APIC = 9 };
#define MADT_USABLE 1
struct madt {
    struct acpi_table header;
    uint32_t local_phys, flags;
    uint8_t entries[];
};
struct madt_entry {
    uint8_t type, bytes;
    union {
        struct {
            uint8_t processor, id;
            uint32_t flags;
        } __attribute__((packed)) local;
        struct {
            uint8_t id, reserved;
            uint32_t phys, first_gsi;
        } __attribute__((packed)) io;
        struct {
            uint8_t bus, irq;
            uint32_t gsi;
            uint16_t flags;
        } __attribute__((packed)) override;
        struct {
            uint16_t reserved;
            uint32_t id, flags;
        } __attribute__((packed)) x2apic;
    };
} __attribute__((packed));

/* NULL: this machine has none. */
static inline const struct madt *madt_find(void)
{
    const struct acpi_table *table;

    return acpi_find("APIC", &table) == ERR_OK && table->bytes >= sizeof(struct madt) ? (const void *)table : NULL;
}

/* Copies the entry at offset `*at` of the entries, 0 at first, and moves on to the next one. What a short entry lacks
 * is zero. False: there are no more whole entries, or no table. */
static inline bool madt_next(const struct madt *madt, size_t *at, struct madt_entry *ret_entry)
{
    size_t left = madt ? madt->header.bytes - sizeof *madt - *at : 0;
    const uint8_t *entry = left ? madt->entries + *at : NULL;

    if (left < 2 || entry[1] < 2 || entry[1] > left)
        return false;
    *ret_entry = (struct madt_entry){0};
    memcpy(ret_entry, entry, entry[1] < sizeof *ret_entry ? entry[1] : sizeof *ret_entry);
    *at += entry[1];
    return true;
}
