/* See lines.h. What is found at init does not change; an I/O APIC's two registers are used under io_lock. */
#include "cells/task/ioapic/lines.h"
#include "cells/core/page/page.h"
#include "cells/task/acpi/madt.h"

#define IO_DEFAULT     0xfec00000ul
#define IO_APICS       4
#define IO_REG_VERSION 1
#define IO_REG_ROUTES  0x10

static struct {
    struct mapped_pages *pages;
    volatile uint32_t *registers; /* select at 0, window at 16 bytes */
    uint32_t first_gsi, routes;
} io[IO_APICS];
static size_t ios;
SET_ONCE(io);
SET_ONCE(ios);
static struct lock io_lock;

static uint32_t io_read(size_t index, uint32_t reg) NEEDS(io_lock)
{
    io[index].registers[0] = reg;
    return io[index].registers[4];
}

static void io_write(size_t index, uint32_t reg, uint32_t value) NEEDS(io_lock)
{
    io[index].registers[0] = reg;
    io[index].registers[4] = value;
}

enum err line_find(uint32_t gsi, struct line *ret_line)
{
    for (size_t i = 0; i < ios; i++) {
        uint32_t route = gsi - io[i].first_gsi;
        if (gsi < io[i].first_gsi || route >= io[i].routes)
            continue;
        *ret_line = (struct line){i, route};
        return ERR_OK;
    }
    return ERR_NOT_FOUND;
}

bool line_next(struct line *line)
{
    line->route++;
    while (line->io < ios && line->route >= io[line->io].routes) {
        line->io++;
        line->route = 0;
    }
    return line->io < ios;
}

uint64_t line_read(const struct line *line)
{
    GUARD(lock) held = lock_take(&io_lock);

    return io_read(line->io, IO_REG_ROUTES + line->route * 2) |
           (uint64_t)io_read(line->io, IO_REG_ROUTES + line->route * 2 + 1) << 32;
}

void line_write(const struct line *line, uint64_t value)
{
    GUARD(lock) held = lock_take(&io_lock);

    io_write(line->io, IO_REG_ROUTES + line->route * 2 + 1, (uint32_t)(value >> 32));
    io_write(line->io, IO_REG_ROUTES + line->route * 2, (uint32_t)value);
}

/* ---- start ---- */

/* At init, when nobody routes yet. */
UNCHECKED static enum err add_io(uint32_t phys, uint32_t first_gsi)
{
    if (ios == IO_APICS)
        return ERR_OK; /* its interrupts cannot be routed */
    io[ios].pages = page_map_device(phys, 4096, PAGE_WRITE | PAGE_UNCACHED);
    if (!io[ios].pages)
        return ERR_NOMEM;
    io[ios].registers = (volatile uint32_t *)((char *)page_start(io[ios].pages) + phys % 4096);
    io[ios].first_gsi = first_gsi;
    io[ios].routes = (io_read(ios, IO_REG_VERSION) >> 16 & 0xff) + 1;
    for (uint32_t route = 0; route < io[ios].routes; route++)
        io_write(ios, IO_REG_ROUTES + route * 2, LINE_MASKED);
    ios++;
    return ERR_OK;
}

enum err lines_init(void)
{
    struct madt_entry entry;

    if (ios)
        return ERR_OK;
    const struct madt *madt = madt_find();
    enum err e = madt ? ERR_OK : add_io(IO_DEFAULT, 0);
    for (size_t at = 0; e == ERR_OK && madt_next(madt, &at, &entry);)
        if (entry.type == MADT_IO)
            e = add_io(entry.io.phys, entry.io.first_gsi);
    return e;
}

void lines_overrides(struct isa_override ret_isa[ISA_IRQS])
{
    const struct madt *madt = madt_find();
    struct madt_entry entry;

    for (uint32_t irq = 0; irq < ISA_IRQS; irq++)
        ret_isa[irq] = (struct isa_override){.gsi = irq};
    for (size_t at = 0; madt_next(madt, &at, &entry);) {
        if (entry.type != MADT_OVERRIDE || entry.override.irq >= ISA_IRQS)
            continue;
        uint16_t flags = entry.override.flags;
        ret_isa[entry.override.irq].gsi = entry.override.gsi;
        ret_isa[entry.override.irq].flags =
            ((flags & 3) == 3 ? LINE_LOW : 0) | ((flags >> 2 & 3) == 3 ? LINE_LEVEL : 0);
    }
}
