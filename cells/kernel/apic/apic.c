/* See apic.h. Uses the registers in memory, or the MSRs where firmware has switched to x2APIC already. Without a MADT it
 * takes the architecture's addresses and one processor. */
#include "cells/kernel/apic/apic.h"
#include "cells/kernel/acpi/acpi.h"
#include "cells/kernel/cpu/cpu.h"
#include "cells/kernel/exception/exception.h"
#include "cells/kernel/lock/lock.h"
#include "cells/kernel/page/page.h"
#include "cells/lib/string/string.h"

CELL("apic", KERNEL, 1);
EXPORT(apic_start_cpu, KERNEL);
EXPORT(apic_eoi, DRIVER);
EXPORT(apic_id, KERNEL);
EXPORT(apic_send_ipi, KERNEL);
EXPORT(apic_send_init, KERNEL);
EXPORT(apic_send_startup, KERNEL);
EXPORT(apic_route, DRIVER);
EXPORT(apic_timer_set, KERNEL);
EXPORT(apic_timer_left, KERNEL);
EXPORT(apic_processors, KERNEL);

#define MSR_BASE      0x1b
#define BASE_ENABLE   (1ull << 11)
#define BASE_X2APIC   (1ull << 10)
#define BASE_ADDRESS  0x000ffffffffff000ull
#define MSR_X2APIC    0x800
#define LOCAL_DEFAULT 0xfee00000ul
#define IO_DEFAULT    0xfec00000ul
#define ISA_IRQS      16
#define SPURIOUS      0xff

enum local_register {
    REG_ID = 0x02,
    REG_PRIORITY = 0x08,
    REG_EOI = 0x0b,
    REG_SPURIOUS = 0x0f,
    REG_COMMAND = 0x30,
    REG_COMMAND_HIGH = 0x31,
    REG_TIMER = 0x32,
    REG_LINT0 = 0x35,
    REG_LINT1 = 0x36,
    REG_TIMER_START = 0x38,
    REG_TIMER_NOW = 0x39,
    REG_TIMER_DIVIDE = 0x3e,
};
#define SPURIOUS_ENABLE 0x100
#define LOCAL_MASKED    0x10000
#define LOCAL_NMI       0x400
#define TIMER_PERIODIC  0x20000
#define DIVIDE_BY_16    3
#define COMMAND_BUSY    0x1000
#define COMMAND_INIT    0x4500
#define COMMAND_STARTUP 0x4600

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

#define IO_APICS       4
#define IO_REG_VERSION 1
#define IO_REG_ROUTES  0x10
#define ROUTE_LOW      0x2000 /* active low */
#define ROUTE_LEVEL    0x8000
#define ROUTE_MASKED   0x10000

static struct mapped_pages *local_pages;
static volatile uint32_t *local; /* NULL: x2APIC */
static uint32_t processor[CPU_MAX];
static size_t processors;
static struct {
    struct mapped_pages *pages;
    volatile uint32_t *registers; /* select at 0, window at 16 bytes */
    uint32_t first_gsi, routes;
} io[IO_APICS];
static size_t ios;
static struct lock io_lock;
static struct {
    uint32_t gsi, mode;
} isa[ISA_IRQS];

/* ---- local APIC ---- */

static uint32_t local_read(enum local_register reg)
{
    return local ? local[reg * 4] : (uint32_t)cpu_msr_read(MSR_X2APIC + reg);
}

static void local_write(enum local_register reg, uint32_t value)
{
    if (local)
        local[reg * 4] = value;
    else
        cpu_msr_write(MSR_X2APIC + reg, value);
}

static void command(uint32_t id, uint32_t word)
{
    if (!local) {
        cpu_msr_write(MSR_X2APIC + REG_COMMAND, (uint64_t)id << 32 | word);
        return;
    }
    uint64_t rflags = cpu_interrupts_save(); /* two writes: nobody else's in between */
    while (local[REG_COMMAND * 4] & COMMAND_BUSY)
        cpu_relax();
    local[REG_COMMAND_HIGH * 4] = id << 24;
    local[REG_COMMAND * 4] = word;
    cpu_interrupts_restore(rflags);
}

void apic_start_cpu(void)
{
    cpu_msr_write(MSR_BASE, cpu_msr_read(MSR_BASE) | BASE_ENABLE);
    local_write(REG_PRIORITY, 0);
    local_write(REG_LINT0, LOCAL_MASKED);
    local_write(REG_LINT1, LOCAL_NMI);
    local_write(REG_TIMER, LOCAL_MASKED);
    local_write(REG_SPURIOUS, SPURIOUS_ENABLE | SPURIOUS);
}

void apic_eoi(void)
{
    local_write(REG_EOI, 0);
}

uint32_t apic_id(void)
{
    return local ? local_read(REG_ID) >> 24 : local_read(REG_ID);
}

void apic_send_ipi(uint32_t id, unsigned vector)
{
    command(id, vector);
}

void apic_send_init(uint32_t id)
{
    command(id, COMMAND_INIT);
}

void apic_send_startup(uint32_t id, uint64_t phys)
{
    command(id, COMMAND_STARTUP | (uint32_t)(phys >> 12));
}

void apic_timer_set(enum apic_timer_mode mode, unsigned vector, uint32_t ticks)
{
    local_write(REG_TIMER_DIVIDE, DIVIDE_BY_16);
    local_write(REG_TIMER, ticks ? vector | (mode == APIC_TIMER_PERIODIC ? TIMER_PERIODIC : 0) : LOCAL_MASKED);
    local_write(REG_TIMER_START, ticks);
}

uint32_t apic_timer_left(void)
{
    return local_read(REG_TIMER_NOW);
}

size_t apic_processors(uint32_t *ret_ids, size_t max)
{
    size_t count = processors < max ? processors : max;

    for (size_t i = 0; i < count; i++)
        ret_ids[i] = processor[i];
    return count;
}

/* ---- I/O APICs ---- */

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

enum err apic_route(unsigned irq, unsigned vector)
{
    uint32_t gsi = irq < ISA_IRQS ? isa[irq].gsi : irq;
    uint32_t mode = irq < ISA_IRQS ? isa[irq].mode : ROUTE_LEVEL | ROUTE_LOW;

    if (vector < 16 || vector > 0xfe)
        return ERR_RANGE;
    for (size_t i = 0; i < ios; i++) {
        uint32_t route = gsi - io[i].first_gsi;
        if (gsi < io[i].first_gsi || route >= io[i].routes)
            continue;
        GUARD(lock) held = lock_take(&io_lock);
        io_write(i, IO_REG_ROUTES + route * 2 + 1, cpu_get(0)->apic_id << 24);
        io_write(i, IO_REG_ROUTES + route * 2, vector | mode);
        return ERR_OK;
    }
    return ERR_NOT_FOUND;
}

/* Nobody routes before all are known. */
UNCHECKED static enum err add_io(uint32_t phys, uint32_t first_gsi)
{
    if (ios == IO_APICS)
        return ERR_OK; /* what lies behind it can't be routed */
    io[ios].pages = page_map_device(phys, 4096, PAGE_WRITE | PAGE_UNCACHED);
    if (!io[ios].pages)
        return ERR_NOMEM;
    io[ios].registers = (volatile uint32_t *)((char *)page_start(io[ios].pages) + phys % 4096);
    io[ios].first_gsi = first_gsi;
    io[ios].routes = (io_read(ios, IO_REG_VERSION) >> 16 & 0xff) + 1;
    for (uint32_t route = 0; route < io[ios].routes; route++)
        io_write(ios, IO_REG_ROUTES + route * 2, ROUTE_MASKED);
    ios++;
    return ERR_OK;
}

/* ---- start ---- */

static void mask_pic(void)
{
    static const struct {
        uint16_t port;
        uint8_t value;
    } steps[] = {
        {0x20, 0x11}, {0xa0, 0x11}, {0x21, 0x20}, {0xa1, 0x28}, {0x21, 0x04},
        {0xa1, 0x02}, {0x21, 0x01}, {0xa1, 0x01}, {0x21, 0xff}, {0xa1, 0xff},
    };

    for (size_t i = 0; i < array_size(steps); i++)
        cpu_out8(steps[i].port, steps[i].value);
}

static void add_processor(uint32_t id, uint32_t flags)
{
    for (size_t i = 0; i < processors; i++)
        if (processor[i] == id)
            return;
    if (flags & MADT_USABLE && processors < CPU_MAX && (id < 0xff || !local))
        processor[processors++] = id;
}

static void add_override(unsigned irq, uint32_t gsi, uint16_t flags)
{
    if (irq >= ISA_IRQS)
        return;
    isa[irq].gsi = gsi;
    isa[irq].mode = ((flags & 3) == 3 ? ROUTE_LOW : 0) | ((flags >> 2 & 3) == 3 ? ROUTE_LEVEL : 0);
}

static enum err read_entry(const struct madt_entry *entry)
{
    switch (entry->type) {
    case MADT_LOCAL:
        add_processor(entry->local.id, entry->local.flags);
        return ERR_OK;
    case MADT_X2APIC:
        add_processor(entry->x2apic.id, entry->x2apic.flags);
        return ERR_OK;
    case MADT_OVERRIDE:
        add_override(entry->override.irq, entry->override.gsi, entry->override.flags);
        return ERR_OK;
    case MADT_IO:
        return add_io(entry->io.phys, entry->io.first_gsi);
    default:
        return ERR_OK;
    }
}

static enum err read_madt(const struct madt *madt)
{
    const uint8_t *end = (const uint8_t *)madt + madt->header.bytes;

    for (const uint8_t *p = madt->entries; p + 2 <= end && p[1] >= 2 && p + p[1] <= end; p += p[1]) {
        struct madt_entry entry = {0};
        memcpy(&entry, p, p[1] < sizeof entry ? p[1] : sizeof entry);
        enum err e = read_entry(&entry);
        if (e != ERR_OK)
            return e;
    }
    return ERR_OK;
}

static enum err apic_init(void)
{
    uint64_t base = cpu_msr_read(MSR_BASE);
    const struct acpi_table *table;

    if (!(base & BASE_X2APIC)) {
        uint64_t phys = base & BASE_ADDRESS ?: LOCAL_DEFAULT;
        local_pages = page_map_device(phys, 4096, PAGE_WRITE | PAGE_UNCACHED);
        if (!local_pages)
            return ERR_NOMEM;
        local = page_start(local_pages);
    }
    for (unsigned irq = 0; irq < ISA_IRQS; irq++)
        isa[irq].gsi = irq;
    mask_pic();
    apic_start_cpu();
    cpu_this()->apic_id = apic_id();
    add_processor(apic_id(), MADT_USABLE);
    if (acpi_find("APIC", &table) == ERR_OK && table->bytes >= sizeof(struct madt))
        return read_madt((const void *)table);
    return add_io(IO_DEFAULT, 0);
}
INIT(apic_init);
