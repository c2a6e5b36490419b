/* See acpi.h; ACPI specification 6.4, chapters 5 and 4.8. */
#include "vmm/acpi.h"
#include "vmm/log.h"
#include <assert.h>
#include <stddef.h>
#include <string.h>

struct header {
    char signature[4];
    uint32_t length;
    uint8_t revision, checksum;
    char oem[6], table[8];
    uint32_t oem_revision;
    char creator[4];
    uint32_t creator_revision;
} __attribute__((packed));
static_assert(sizeof(struct header) == 36, "ACPI table header");

struct rsdp {
    char signature[8];
    uint8_t checksum;
    char oem[6];
    uint8_t revision;
    uint32_t rsdt, length;
    uint64_t xsdt;
    uint8_t extended_checksum, reserved[3];
} __attribute__((packed));
static_assert(sizeof(struct rsdp) == 36, "RSDP");

struct address {
    uint8_t space, bits, offset, access;
    uint64_t at;
} __attribute__((packed));

struct fadt {
    struct header header;
    uint32_t facs, dsdt;
    uint8_t reserved0, profile;
    uint16_t sci;
    uint32_t smi_command;
    uint8_t acpi_enable, acpi_disable, s4, pstate;
    uint32_t pm1a_event, pm1b_event, pm1a_control, pm1b_control, pm2_control, pm_timer, gpe0, gpe1;
    uint8_t pm1_event_bytes, pm1_control_bytes, pm2_control_bytes, pm_timer_bytes, gpe0_bytes, gpe1_bytes, gpe1_base,
        cst;
    uint16_t c2_latency, c3_latency, flush_size, flush_stride;
    uint8_t duty_offset, duty_width, day_alarm, month_alarm, century;
    uint16_t boot_flags;
    uint8_t reserved1;
    uint32_t flags;
    struct address reset;
    uint8_t reset_value;
    uint16_t arm_flags;
    uint8_t minor;
    uint64_t x_facs, x_dsdt;
    struct address x_blocks[8];
} __attribute__((packed));
static_assert(offsetof(struct fadt, flags) == 112 && sizeof(struct fadt) == 244, "FADT of revision 4");

struct madt_lapic {
    uint8_t type, length, processor, apic;
    uint32_t flags;
} __attribute__((packed));
struct madt_ioapic {
    uint8_t type, length, id, reserved;
    uint32_t address, gsi_base;
} __attribute__((packed));
struct madt_override {
    uint8_t type, length, bus, irq;
    uint32_t gsi;
    uint16_t flags;
} __attribute__((packed));
struct madt_nmi {
    uint8_t type, length, processor;
    uint16_t flags;
    uint8_t lint;
} __attribute__((packed));

/* Name (_S5, Package () {0, 0, 0, 0}): how to switch off, with PM1_CNT. */
static const uint8_t dsdt_body[] = {0x08, '_', 'S', '5', '_', 0x12, 0x06, 0x04, 0, 0, 0, 0};

static uint8_t checksum(const void *bytes, size_t count)
{
    const uint8_t *b = bytes;
    uint8_t sum = 0;

    while (count--)
        sum = (uint8_t)(sum + *b++);
    return (uint8_t)-sum;
}

/* Tables are put together here, one after the other, each at a multiple of 16. */
struct builder {
    size_t used;
    uint8_t bytes[ACPI_LIMIT - ACPI_BASE];
};

static struct header *begin_table(struct builder *b, const char *signature, uint8_t revision)
{
    b->used = (b->used + 15) & ~(size_t)15;
    struct header *h = (void *)(b->bytes + b->used);
    *h = (struct header){.revision = revision, .oem_revision = 1, .creator_revision = 1};
    memcpy(h->signature, signature, sizeof h->signature);
    memcpy(h->oem, "DELIAS", sizeof h->oem);
    memcpy(h->table, "DELIASVM", sizeof h->table);
    memcpy(h->creator, "DLVM", sizeof h->creator);
    b->used += sizeof *h;
    return h;
}

static void append_table_bytes(struct builder *b, const void *from, size_t bytes)
{
    memcpy(b->bytes + b->used, from, bytes);
    b->used += bytes;
}

static uint32_t finish_table(struct builder *b, struct header *h)
{
    size_t at = (size_t)((uint8_t *)h - b->bytes);

    h->length = (uint32_t)(b->used - at);
    h->checksum = checksum(h, h->length);
    return ACPI_BASE + (uint32_t)at;
}

static uint32_t build_fadt(struct builder *b, uint32_t dsdt)
{
    enum { WBINVD = 1 << 0, RESET_REGISTER = 1 << 10, LEGACY_DEVICES = 1 << 0, KEYBOARD = 1 << 1, IO_SPACE = 1 };
    struct header *h = begin_table(b, "FACP", 4);
    struct fadt f = {.dsdt = dsdt,
                     .x_dsdt = dsdt,
                     .sci = ACPI_SCI_IRQ,
                     .pm1a_event = ACPI_PM_PORT,
                     .pm1a_control = ACPI_PM_PORT + 4,
                     .pm1_event_bytes = 4,
                     .pm1_control_bytes = 2,
                     .c2_latency = 0xfff,
                     .c3_latency = 0xfff,
                     .century = 0x32,
                     .boot_flags = LEGACY_DEVICES | KEYBOARD,
                     .flags = WBINVD | RESET_REGISTER,
                     .reset = {.space = IO_SPACE, .bits = 8, .access = 1, .at = 0xcf9},
                     .reset_value = 6};

    append_table_bytes(b, (uint8_t *)&f + sizeof f.header, sizeof f - sizeof f.header);
    return finish_table(b, h);
}

static uint32_t build_madt(struct builder *b, unsigned cpus)
{
    enum { LAPIC = 0, IOAPIC = 1, OVERRIDE = 2, NMI = 4, ENABLED = 1, PC_COMPATIBLE = 1, LEVEL_HIGH = 0xd };
    struct header *h = begin_table(b, "APIC", 4);
    const uint32_t head[2] = {0xfee00000, PC_COMPATIBLE};

    append_table_bytes(b, head, sizeof head);
    for (unsigned c = 0; c < cpus; c++) {
        struct madt_lapic lapic = {LAPIC, sizeof lapic, (uint8_t)c, (uint8_t)c, ENABLED};
        append_table_bytes(b, &lapic, sizeof lapic);
    }
    struct madt_ioapic ioapic = {IOAPIC, sizeof ioapic, 0, 0, 0xfec00000, 0};
    struct madt_override timer = {OVERRIDE, sizeof timer, 0, 0, 2, 0};
    struct madt_override sci = {OVERRIDE, sizeof sci, 0, ACPI_SCI_IRQ, ACPI_SCI_IRQ, LEVEL_HIGH};
    struct madt_nmi nmi = {NMI, sizeof nmi, 0xff, 0, 1};
    append_table_bytes(b, &ioapic, sizeof ioapic);
    append_table_bytes(b, &timer, sizeof timer);
    append_table_bytes(b, &sci, sizeof sci);
    append_table_bytes(b, &nmi, sizeof nmi);
    return finish_table(b, h);
}

enum err acpi_build(struct ram *ram, unsigned cpus)
{
    static struct builder b;
    struct rsdp *rsdp = (void *)b.bytes;
    struct header *h;
    uint32_t tables[2];
    uint64_t wide[2];

    memset(&b, 0, sizeof b);
    b.used = sizeof *rsdp;
    h = begin_table(&b, "DSDT", 2);
    append_table_bytes(&b, dsdt_body, sizeof dsdt_body);
    tables[0] = build_fadt(&b, finish_table(&b, h));
    tables[1] = build_madt(&b, cpus);
    wide[0] = tables[0];
    wide[1] = tables[1];
    h = begin_table(&b, "RSDT", 1);
    append_table_bytes(&b, tables, sizeof tables);
    *rsdp = (struct rsdp){.oem = "DELIAS", .revision = 2, .length = sizeof *rsdp, .rsdt = finish_table(&b, h)};
    h = begin_table(&b, "XSDT", 1);
    append_table_bytes(&b, wide, sizeof wide);
    rsdp->xsdt = finish_table(&b, h);
    memcpy(rsdp->signature, "RSD PTR ", sizeof rsdp->signature);
    rsdp->checksum = checksum(rsdp, 20);
    rsdp->extended_checksum = checksum(rsdp, sizeof *rsdp);
    return ram_write(ram, gpa(ACPI_BASE), b.bytes, b.used);
}
