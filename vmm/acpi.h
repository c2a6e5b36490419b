/* The ACPI tables that tell a guest its processors and interrupt controllers: RSDP, RSDT, XSDT, FADT, DSDT, MADT.
 * Leaves out every device: the guest knows the PC's. */
#pragma once
#include "vmm/ram.h"

enum { ACPI_BASE = 0xe0000, ACPI_LIMIT = 0x100000, ACPI_PM_PORT = 0x600, ACPI_SCI_IRQ = 9 };

/* Writes the tables at ACPI_BASE; the RSDP comes first. */
enum err acpi_build(struct ram *ram, unsigned cpus);
