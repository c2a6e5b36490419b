/* The cells of interrupts behind made-up firmware: which CPUs and I/O APICs they take from a MADT, where they route
 * interrupts, what they tell a local APIC that is reached by MSRs. */
#include "cells/core/cpu/cpu.h"
#include "cells/core/frame/frame.h"
#include "cells/core/page/page.h"
#include "tests/hosted/stand_in.h"
/* clang-format off: what the cells call here, and what other suites have stand-ins for, is named otherwise */
#define cpu_msr_read    read_msr
#define cpu_msr_write   write_msr
#define cpu_get         get_cpu
#define cpu_count       count_cpus
#define page_map_device map_device
#define ioapic_route    route
#define apic_eoi        end_of_interrupt
static uint64_t read_msr(uint32_t msr);
static void write_msr(uint32_t msr, uint64_t value);
static struct cpu *get_cpu(unsigned index);
static unsigned count_cpus(void);
static struct mapped_pages *map_device(uint64_t phys, size_t bytes, unsigned flags);
#include "cells/task/apic/apic.c"
#include "cells/task/apic/local.c"
#include "cells/task/ioapic/ioapic.c"
#include "cells/task/ioapic/lines.c"
#include "cells/task/ioapic/nmi.c"
#include "cells/task/ipi/ipi.c"
#include "cells/task/ipi/send.c"
/* clang-format on */
#include <check.h>
#include <string.h>

Suite *suite_hosted_apic(void);

enum { FIRST_IO = 0xfec00000, SECOND_IO = 0xfec01040, ROUTES = 24 };

/* ---- the machine ---- */

static struct {
    uint64_t base, command; /* MSRs: where the local APIC is, the last command */
    uint32_t timer, timer_start;
    uint8_t masks[2];                /* of the two PICs */
    volatile uint32_t *at[IO_APICS]; /* registers of I/O APICs that were mapped */
    size_t mapped;
    uint32_t source[5]; /* of the local vector table, from the thermal sensor's on */
    uint32_t errors;
    unsigned error_writes;
} machine;
static struct cpu cpus[] = {{.index = 0}, {.index = 1, .apic_id = 7}};
static union {
    struct madt madt;
    uint8_t byte[512];
} firmware;
static bool no_madt;

static uint64_t read_msr(uint32_t msr)
{
    if (msr == MSR_X2APIC + REG_ERROR)
        return machine.error_writes ? machine.errors : 0;
    return msr == MSR_BASE ? machine.base : 0;
}

static void write_msr(uint32_t msr, uint64_t value)
{
    if (msr == MSR_X2APIC + REG_COMMAND)
        machine.command = value;
    else if (msr == MSR_X2APIC + REG_TIMER)
        machine.timer = (uint32_t)value;
    else if (msr == MSR_X2APIC + REG_TIMER_START)
        machine.timer_start = (uint32_t)value;
    else if (msr == MSR_X2APIC + REG_ERROR)
        machine.error_writes++;
    else if (msr >= MSR_X2APIC + REG_THERMAL && msr <= MSR_X2APIC + REG_SOURCE_ERROR)
        machine.source[msr - MSR_X2APIC - REG_THERMAL] = (uint32_t)value;
}

static struct cpu *get_cpu(unsigned index)
{
    return index < array_size(cpus) ? &cpus[index] : NULL;
}

static unsigned count_cpus(void)
{
    return array_size(cpus);
}

static enum err init_all(void)
{
    enum err e = apic_init();

    return e == ERR_OK ? ioapic_init() : e;
}

/* Plain memory: the window of an I/O APIC holds its version until something is written, and then that. */
static struct mapped_pages *map_device(uint64_t phys, size_t bytes, unsigned flags)
{
    struct mapped_pages *mp = page_map(bytes, flags);
    volatile uint32_t *registers = (volatile uint32_t *)((uint8_t *)page_start(mp) + phys % FRAME_BYTES);

    registers[4] = (ROUTES - 1) << 16;
    if (phys != LOCAL_DEFAULT)
        machine.at[machine.mapped++] = registers;
    return mp;
}

enum err acpi_find(const char *signature, const struct acpi_table **ret_table)
{
    ck_assert_str_eq(signature, "APIC");
    if (no_madt)
        return ERR_NOT_FOUND;
    *ret_table = &firmware.madt.header;
    return ERR_OK;
}

static uint8_t pic_port(uint16_t port, bool out, uint8_t value)
{
    ck_assert(out && (port & ~0x81) == 0x20);
    machine.masks[port >> 7] = port & 1 ? value : 0;
    return 0;
}

/* Adds an entry of `bytes` bytes, which begins with its type, its length and `data`. */
#define ENTRY(type, bytes, data) entry(type, bytes, &(data), sizeof(data))
static void entry(enum madt_type type, uint8_t bytes, const void *data, size_t data_bytes)
{
    uint8_t *at = firmware.byte + firmware.madt.header.bytes;

    at[0] = (uint8_t)type;
    at[1] = bytes;
    memcpy(at + 2, data, data_bytes);
    firmware.madt.header.bytes += bytes;
}

static void local_apic(uint8_t id, uint32_t flags)
{
    const struct madt_entry e = {.local = {.id = id, .flags = flags}};

    ENTRY(MADT_LOCAL, 8, e.local);
}

static void x2apic(uint32_t id, uint32_t flags)
{
    const struct madt_entry e = {.x2apic = {.id = id, .flags = flags}};

    ENTRY(MADT_X2APIC, 16, e.x2apic);
}

static void io_apic(uint32_t phys, uint32_t first_gsi)
{
    const struct madt_entry e = {.io = {.phys = phys, .first_gsi = first_gsi}};

    ENTRY(MADT_IO, 12, e.io);
}

static void override(uint8_t irq, uint32_t gsi, uint16_t flags)
{
    const struct madt_entry e = {.override = {.irq = irq, .gsi = gsi, .flags = flags}};

    ENTRY(MADT_OVERRIDE, 10, e.override);
}

static void setup(void)
{
    stand_in_start();
    stand_in.port = pic_port;
    machine.base = LOCAL_DEFAULT | BASE_ENABLE;
    firmware.madt.header.bytes = sizeof firmware.madt;
}

/* ---- CPUs ---- */

static void has_processors(size_t count, const uint32_t *ids)
{
    uint32_t found[CPU_MAX];

    ck_assert_uint_eq(apic_processors(found, CPU_MAX), count);
    ck_assert(memcmp(found, ids, count * sizeof *ids) == 0);
}

START_TEST(usable_processors_count_once)
{
    local_apic(0, MADT_USABLE), local_apic(3, MADT_USABLE), local_apic(4, 0), local_apic(3, MADT_USABLE);
    x2apic(3, MADT_USABLE), x2apic(7, MADT_USABLE),
        x2apic(300, MADT_USABLE); /* no local APIC of the old kind has 300 */
    ck_assert_int_eq(init_all(), ERR_OK);
    has_processors(3, (const uint32_t[]){0, 3, 7});
    ck_assert_uint_eq(apic_processors((uint32_t[2]){0}, 2), 2);
    ck_assert(machine.masks[0] == 0xff && machine.masks[1] == 0xff);
}
END_TEST

START_TEST(more_processors_than_there_is_room_for)
{
    for (uint8_t id = 1; id < 3 * CPU_MAX / 2; id++)
        local_apic(id, MADT_USABLE);
    ck_assert_int_eq(init_all(), ERR_OK);
    ck_assert_uint_eq(apic_processors((uint32_t[CPU_MAX]){0}, CPU_MAX), CPU_MAX);
}
END_TEST

START_TEST(entries_that_are_cut_end_the_table)
{
    static const uint8_t empty[2] = {MADT_LOCAL, 0};

    local_apic(1, MADT_USABLE);
    local_apic(2, MADT_USABLE);
    firmware.madt.header.bytes--; /* its last byte is not there */
    ck_assert_int_eq(init_all(), ERR_OK);
    has_processors(2, (const uint32_t[]){0, 1});
    memcpy(firmware.byte + sizeof firmware.madt, empty, sizeof empty);
    processors = 0;
    find_processors();
    has_processors(1, (const uint32_t[]){0});
}
END_TEST

START_TEST(a_machine_without_a_madt_has_one_of_each)
{
    no_madt = true;
    ck_assert_int_eq(init_all(), ERR_OK);
    has_processors(1, (const uint32_t[]){0});
    ck_assert_uint_eq(machine.mapped, 1);
    ck_assert_int_eq(ioapic_route(ROUTES - 1, 0x40), ERR_OK);
    ck_assert_int_eq(ioapic_route(ROUTES, 0x40), ERR_NOT_FOUND);
}
END_TEST

/* ---- routes ---- */

/* The last route that I/O APIC `index` was given. */
static void routed(size_t index, uint32_t line, uint32_t low_word)
{
    ck_assert_uint_eq(machine.at[index][0], IO_REG_ROUTES + 2 * line);
    ck_assert_uint_eq(machine.at[index][4], low_word);
}

START_TEST(lines_go_where_the_firmware_says)
{
    io_apic(FIRST_IO, 0), io_apic(SECOND_IO, ROUTES);
    override(0, 2, 0), override(9, 9, 0xd), override(5, ROUTES + 3, 0xf), override(16, 1, 0xf);
    ck_assert_int_eq(init_all(), ERR_OK);
    ck_assert_uint_eq(machine.mapped, 2);
    routed(0, ROUTES - 1, LINE_MASKED);
    routed(1, ROUTES - 1, LINE_MASKED);
    ck_assert_int_eq(ioapic_route(0, 0x40), ERR_OK);
    routed(0, 2, 0x40);
    ck_assert_int_eq(ioapic_route_nmi(0, 3), ERR_OK);
    routed(0, 2, LINE_NMI);
    ck_assert_int_eq(ioapic_route_nmi(5, 3), ERR_OK);
    routed(1, 3, LINE_NMI | LINE_LEVEL | LINE_LOW);
    ioapic_mask(0);
    routed(0, 2, LINE_MASKED);
    ck_assert_int_eq(ioapic_route_nmi(16, 3), ERR_UNSUPPORTED);
    ck_assert_int_eq(ioapic_route_nmi(0, LINE_CPU_ID_MAX + 1), ERR_RANGE);
    ck_assert_int_eq(ioapic_route(1, 0x41), ERR_OK);
    routed(0, 1, 0x41);
    ck_assert_int_eq(ioapic_route(9, 0x42), ERR_OK);
    routed(0, 9, 0x42 | LINE_LEVEL);
    ck_assert_int_eq(ioapic_route(5, 0x43), ERR_OK);
    routed(1, 3, 0x43 | LINE_LEVEL | LINE_LOW);
    ck_assert_int_eq(ioapic_route(16, 0x44), ERR_OK); /* no ISA number: active low and level-triggered */
    routed(0, 16, 0x44 | LINE_LEVEL | LINE_LOW);
    ck_assert_int_eq(ioapic_route(ROUTES + 1, 0x45), ERR_OK);
    routed(1, 1, 0x45 | LINE_LEVEL | LINE_LOW);
}
END_TEST

START_TEST(vectors_and_lines_have_limits)
{
    io_apic(FIRST_IO, 4); /* nobody has the lines below */
    ck_assert_int_eq(init_all(), ERR_OK);
    ck_assert_int_eq(ioapic_route(5, 15), ERR_RANGE);
    ck_assert_int_eq(ioapic_route(5, 0xff), ERR_RANGE);
    ck_assert_int_eq(ioapic_route(3, 0x40), ERR_NOT_FOUND);
    ck_assert_int_eq(ioapic_route(4 + ROUTES, 0x40), ERR_NOT_FOUND);
    routed(0, ROUTES - 1, LINE_MASKED);
    ck_assert_int_eq(ioapic_route(5, 16), ERR_OK);
    routed(0, 1, 16);
    ck_assert_int_eq(ioapic_route(5, 0xfe), ERR_OK);
}
END_TEST

START_TEST(one_io_apic_too_many)
{
    for (uint32_t i = 0; i <= IO_APICS; i++)
        io_apic(FIRST_IO + i * FRAME_BYTES, i * ROUTES);
    ck_assert_int_eq(init_all(), ERR_OK);
    ck_assert_uint_eq(machine.mapped, IO_APICS);
    ck_assert_int_eq(ioapic_route(IO_APICS * ROUTES - 1, 0x40), ERR_OK);
    ck_assert_int_eq(ioapic_route(IO_APICS * ROUTES, 0x40), ERR_NOT_FOUND);
}
END_TEST

START_TEST(a_line_is_set_in_every_respect)
{
    struct ioapic_line line = {.vector = 0x40, .cpu = 1, .level = true, .low = true, .masked = true};
    struct ioapic_line got;

    io_apic(FIRST_IO, 0);
    ck_assert_int_eq(init_all(), ERR_OK);
    ck_assert_int_eq(ioapic_set(5, &line), ERR_OK);
    routed(0, 5, 0x40 | LINE_LEVEL | LINE_LOW | LINE_MASKED);
    machine.at[0][4] = 0; /* both words of a line that is read are the window */
    ck_assert_int_eq(ioapic_get(5, &got), ERR_OK);
    ck_assert(!got.cpu && !got.vector && !got.level && !got.low && !got.masked);
    machine.at[0][4] = 7u << 24 | LINE_LEVEL | 0x41;
    ck_assert_int_eq(ioapic_get(5, &got), ERR_OK);
    ck_assert(got.cpu == 1 && got.vector == 0x41 && got.level && !got.low && !got.masked);
    machine.at[0][4] = 8u << 24;
    ck_assert_int_eq(ioapic_get(5, &got), ERR_NOT_FOUND);
    ck_assert_int_eq(ioapic_get(ROUTES, &got), ERR_NOT_FOUND);
    line.cpu = 2;
    ck_assert_int_eq(ioapic_set(5, &line), ERR_RANGE);
    cpus[1].apic_id = LINE_CPU_ID_MAX + 1; /* a line has eight bits for it */
    line.cpu = 1;
    ck_assert_int_eq(ioapic_set(5, &line), ERR_RANGE);
    cpus[1].apic_id = 7;
}
END_TEST

/* ---- a local APIC that is reached by MSRs ---- */

START_TEST(x2apic_is_told_by_msrs)
{
    machine.base |= BASE_X2APIC;
    x2apic(300, MADT_USABLE);
    ck_assert_int_eq(init_all(), ERR_OK);
    has_processors(2, (const uint32_t[]){0, 300});
    ipi_send(300, 0x51);
    ck_assert_uint_eq(machine.command, 300ull << 32 | 0x51);
    ipi_send_init(7);
    ck_assert_uint_eq(machine.command, 7ull << 32 | APIC_INIT);
    ipi_send_startup(7, 0x9000);
    ck_assert_uint_eq(machine.command, 7ull << 32 | APIC_STARTUP | 9);
    ipi_send_nmi(7);
    ck_assert_uint_eq(machine.command, 7ull << 32 | APIC_NMI);
    ipi_send_others(0x51);
    ck_assert_uint_eq(machine.command, APIC_OTHERS | 0x51);
    apic_timer_set(APIC_TIMER_PERIODIC, 0x52, 1000);
    ck_assert(machine.timer == (0x52 | TIMER_PERIODIC) && machine.timer_start == 1000);
    apic_timer_set(APIC_TIMER_ONCE, 0x52, 1000);
    ck_assert_uint_eq(machine.timer, 0x52);
    apic_timer_set(APIC_TIMER_PERIODIC, 0x52, 0);
    ck_assert(machine.timer == LOCAL_MASKED && machine.timer_start == 0);
}
END_TEST

START_TEST(every_source_can_interrupt)
{
    machine.base |= BASE_X2APIC;
    ck_assert_int_eq(init_all(), ERR_OK);
    ck_assert_int_eq(apic_source_set(APIC_THERMAL, 0x40), ERR_OK);
    ck_assert_int_eq(apic_source_set(APIC_PERFORMANCE, 0x41), ERR_OK);
    ck_assert_int_eq(apic_source_set(APIC_ERROR, 0xfe), ERR_OK);
    ck_assert(machine.source[0] == 0x40 && machine.source[1] == 0x41 && machine.source[4] == 0xfe);
    ck_assert_int_eq(apic_source_set(APIC_PERFORMANCE, 0), ERR_OK);
    ck_assert_uint_eq(machine.source[1], LOCAL_MASKED);
    ck_assert_int_eq(apic_source_set(APIC_ERROR, 15), ERR_RANGE);
    ck_assert_int_eq(apic_source_set(APIC_ERROR, 0xff), ERR_RANGE);
    ck_assert_int_eq(apic_source_set(APIC_ERROR + 1, 0x40), ERR_RANGE);
    machine.errors = 0x40; /* shown after the register was written */
    ck_assert_uint_eq(apic_errors(), 0x40);
}
END_TEST

Suite *suite_hosted_apic(void)
{
    Suite *s = suite_create("hosted apic");
    TCase *tc = tcase_create("apic");

    tcase_add_checked_fixture(tc, setup, NULL);
    tcase_add_test(tc, usable_processors_count_once);
    tcase_add_test(tc, more_processors_than_there_is_room_for);
    tcase_add_test(tc, entries_that_are_cut_end_the_table);
    tcase_add_test(tc, a_machine_without_a_madt_has_one_of_each);
    tcase_add_test(tc, lines_go_where_the_firmware_says);
    tcase_add_test(tc, vectors_and_lines_have_limits);
    tcase_add_test(tc, one_io_apic_too_many);
    tcase_add_test(tc, a_line_is_set_in_every_respect);
    tcase_add_test(tc, every_source_can_interrupt);
    tcase_add_test(tc, x2apic_is_told_by_msrs);
    suite_add_tcase(s, tc);
    return s;
}
