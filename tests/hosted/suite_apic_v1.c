/* The first version of the apic cell before made-up registers: one period, edges only, the first CPU only; and what it
 * does with lines that another version has set up. */
#include "cells/core/cpu/cpu.h"
#include "tests/hosted/stand_in.h"
/* clang-format off: what the cell calls here, and what other suites have too, is named otherwise */
#define apic_timer_set  set_timer
#define ioapic_route    route_first
#define local_write     write_local
#define local_init      init_local
#define line_find       find_line
#define line_read       read_line
#define line_write      write_line
#define line_next       next_line
#define lines_init      init_lines
#define lines_overrides read_overrides
#define flush_init      init_flush
#define cpu_get         first_of_cpus
static struct cpu *first_of_cpus(unsigned index);
#include "cells/task/apic_v1/apic_v1.c"
/* clang-format on */
#include <check.h>

Suite *suite_hosted_apic_v1(void);

enum { LINES = 24, FIRST_ID = 3 };
static uint64_t word[LINES];
static uint32_t mode, count; /* of the timer */
static unsigned writes;      /* to lines */

static struct cpu *first_of_cpus(unsigned index)
{
    static struct cpu cpu = {.apic_id = FIRST_ID};

    return index == 0 ? &cpu : NULL;
}

void write_local(enum local_register reg, uint32_t value)
{
    if (reg == REG_TIMER)
        mode = value;
    else if (reg == REG_TIMER_START)
        count = value;
}

enum err init_local(void)
{
    return ERR_OK;
}

enum err init_lines(void)
{
    return ERR_OK;
}

enum err init_flush(void)
{
    return ERR_OK;
}

enum err find_line(uint32_t gsi, struct line *ret_line)
{
    *ret_line = (struct line){0, gsi};
    return gsi < LINES ? ERR_OK : ERR_NOT_FOUND;
}

bool next_line(struct line *line)
{
    return ++line->route < LINES;
}

uint64_t read_line(const struct line *line)
{
    return word[line->route];
}

void write_line(const struct line *line, uint64_t value)
{
    word[line->route] = value;
    writes++;
}

void read_overrides(struct isa_override ret_isa[ISA_IRQS])
{
    for (uint32_t irq = 0; irq < ISA_IRQS; irq++)
        ret_isa[irq] = (struct isa_override){.gsi = irq == 0 ? 2 : irq == 15 ? LINES : irq, .flags = LINE_LEVEL};
}

static void setup(void)
{
    for (size_t i = 0; i < LINES; i++)
        word[i] = LINE_MASKED;
    ck_assert_int_eq(apic_init(), ERR_OK);
    writes = 0;
}

static uint64_t to(uint64_t id, uint32_t low)
{
    return id << LINE_CPU_SHIFT | low;
}

START_TEST(there_is_one_period)
{
    set_timer(APIC_TIMER_PERIODIC, 0x52, 1000);
    ck_assert(mode == (0x52 | TIMER_PERIODIC) && count == PERIOD);
    set_timer(APIC_TIMER_ONCE, 0x52, 1000); /* by which clocks are measured */
    ck_assert(mode == 0x52 && count == 1000);
    set_timer(APIC_TIMER_PERIODIC, 0x52, 0);
    ck_assert(mode == LOCAL_MASKED && count == 0);
}
END_TEST

START_TEST(lines_are_edges_for_the_first_cpu)
{
    ck_assert_int_eq(route_first(0, 0x40), ERR_OK);
    ck_assert_uint_eq(word[2], to(FIRST_ID, 0x40));
    ck_assert_int_eq(route_first(9, 0x41), ERR_OK); /* whatever the firmware says of it */
    ck_assert_uint_eq(word[9], to(FIRST_ID, 0x41));
    ck_assert_int_eq(route_first(15, 0x41), ERR_NOT_FOUND);
    ck_assert_int_eq(route_first(16, 0x41), ERR_UNSUPPORTED);
    ck_assert_int_eq(route_first(1, 15), ERR_RANGE);
    ck_assert_int_eq(route_first(1, 0xff), ERR_RANGE);
    ck_assert_uint_eq(writes, 2);
}
END_TEST

START_TEST(edges_of_others_come_to_the_first_cpu)
{
    word[1] = to(7, 0x41);
    word[5] = to(7, 0x45 | LINE_LEVEL | LINE_LOW | LINE_MASKED); /* nobody uses it */
    ck_assert_int_eq(apic_transfer(NULL), ERR_OK);
    ck_assert_uint_eq(word[1], to(FIRST_ID, 0x41));
    ck_assert_uint_eq(word[5], to(7, 0x45 | LINE_LEVEL | LINE_LOW | LINE_MASKED));
    ck_assert_uint_eq(isa_gsi[0], 2);
}
END_TEST

START_TEST(what_would_lose_interrupts_is_refused)
{
    static const uint32_t kinds[] = {LINE_LEVEL, LINE_LOW, LINE_LEVEL | LINE_LOW};

    word[1] = to(7, 0x41);
    for (size_t i = 0; i < array_size(kinds); i++) {
        word[LINES - 1] = to(0, 0x50 | kinds[i]);
        ck_assert_int_eq(apic_transfer(NULL), ERR_UNSUPPORTED);
        ck_assert_uint_eq(writes, 0);
    }
}
END_TEST

Suite *suite_hosted_apic_v1(void)
{
    Suite *s = suite_create("hosted apic_v1");
    TCase *tc = tcase_create("apic_v1");

    tcase_add_checked_fixture(tc, setup, NULL);
    tcase_add_test(tc, there_is_one_period);
    tcase_add_test(tc, lines_are_edges_for_the_first_cpu);
    tcase_add_test(tc, edges_of_others_come_to_the_first_cpu);
    tcase_add_test(tc, what_would_lose_interrupts_is_refused);
    suite_add_tcase(s, tc);
    return s;
}
