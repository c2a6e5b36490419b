/* The case of thesis §9.1.4: one cell for all that has to do with interrupts becomes four, and these become one again,
 * under load that would stand still for ever after one lost interrupt. Ticks are compared with the clock, which is
 * exact where instructions are counted. What the one cell cannot do works with the four, and the way back is refused
 * while it is in use. */
#include "cells/core/arena/arena.h"
#include "cells/core/cpu/cpu.h"
#include "cells/core/lifecycle/lifecycle.h"
#include "cells/core/loader/loader.h"
#include "cells/evolve/reap/reap.h"
#include "cells/host/log/log.h"
#include "cells/lib/string/string.h"
#include "cells/task/apic/apic.h"
#include "cells/task/ioapic/ioapic.h"
#include "cells/task/scheduler/scheduler.h"
#include "cells/task/task/task.h"
#include "cells/task/timer/timer.h"
#include "tests/guest/fixtures/interrupts/interrupts.h"
#include "tests/guest/fixtures/testing/exchange.h"
#include "tests/guest/fixtures/testing/testing.h"

CELL("test_apic", KERNEL, 1);

#define EXCHANGES  20
#define DEPENDENTS 25
#define CLOCKS     5
#define SPARE_IRQ  10
#define FAR_IRQ    5000
#define TICK_NS    (1000000000ull / TIMER_HZ)

static const char *const one[] = {"apic", NULL}, *const one_member[] = {"apic_v1", NULL},
                         *const four[] = {"apic", "ioapic", "ipi", "shootdown", NULL},
                         *const three[] = {"apic", "ioapic", "ipi", NULL};
static struct report report;

static struct cell_ref cell_called(const char *name)
{
    return arena_cell_find(NAMESPACE_ROOT, name);
}

static bool is_split(void)
{
    return arena_cell(cell_called("apic"))->version == 2 && cell_called("ioapic").index && cell_called("ipi").index &&
           cell_called("shootdown").index;
}

static bool is_whole(void)
{
    return arena_cell(cell_called("apic"))->version == 1 && !cell_called("ioapic").index && !cell_called("ipi").index &&
           !cell_called("shootdown").index;
}

static void join_cells(const struct testing *test)
{
    testing_need(test, exchange_cells(four, one_member, 0, &report) == ERR_OK && is_whole());
}

static void split_cell(const struct testing *test)
{
    testing_need(test, exchange_cells(one, four, 0, &report) == ERR_OK && is_split());
}

/* ---- dependents ---- */

static bool is_one_of_four(struct cell_ref cell)
{
    for (size_t i = 0; four[i]; i++)
        if (same(cell_called(four[i]), cell))
            return true;
    return false;
}

static bool depends_on_them(struct section_ref section)
{
    if (is_one_of_four(arena_section(section)->cell))
        return false;
    for_each_edge_from (e, section)
        if (is_one_of_four(arena_section(arena_edge(e)->to)->cell))
            return true;
    return false;
}

/* Marks cells that have an edge to a marked one. False: there were no more. */
static bool mark_dependents(bool marked[ARENA_CELLS_BASE])
{
    bool more = false;

    for_each_edge (e) {
        const struct arena_edge *edge = arena_edge(e);
        if (!edge->check)
            continue;
        struct cell_ref from = arena_section(edge->from)->cell, to = arena_section(edge->to)->cell;
        if (!marked[to.index] || marked[from.index] || arena_cell(from)->state != CELL_LIVE)
            continue;
        marked[from.index] = more = true;
    }
    return more;
}

static unsigned dependent_cells(void)
{
    static bool marked[ARENA_CELLS_BASE];
    unsigned count = 0;

    for (size_t i = 0; four[i]; i++)
        marked[cell_called(four[i]).index] = true;
    while (mark_dependents(marked))
        ;
    for_each_cell (c)
        count += marked[c.index] && !is_one_of_four(c);
    return count;
}

static void count_dependents(const struct testing *test)
{
    unsigned sections = 0, cells = 0;

    for_each_cell (c) {
        bool depends = false;
        if (arena_cell(c)->state != CELL_LIVE)
            continue;
        for_each_section_of (s, c) {
            bool this_one = depends_on_them(s);
            sections += this_one;
            depends |= this_one;
        }
        cells += depends;
    }
    unsigned all = dependent_cells();
    log_info("%u functions and data of %u cells depend on them directly, %u cells in all", sections, cells, all);
    testing_need(test, sections >= DEPENDENTS && all >= DEPENDENTS);
}

/* ---- CPUs and their timers ---- */

static void processors_are_known(const struct testing *test)
{
    uint32_t ids[CPU_MAX];

    testing_need(test, apic_processors(ids, CPU_MAX) == cpu_count());
    for (unsigned cpu = 0; cpu < cpu_count(); cpu++)
        testing_need(test, ids[cpu] == cpu_get(cpu)->apic_id);
}

static void timers_count(const struct testing *test)
{
    GUARD(preempt) here = scheduler_stay();
    uint32_t left = apic_timer_left();

    timer_delay_us(100);
    testing_need(test, apic_timer_left() != left);
}

/* ---- ticks ---- */

static struct {
    uint64_t ns, ticks[CPU_MAX];
} start;

static void begin_ticks(void)
{
    GUARD(preempt) here = scheduler_stay();

    start.ns = cpu_ns();
    for (unsigned cpu = 0; cpu < cpu_count(); cpu++)
        start.ticks[cpu] = __atomic_load_n(&cpu_get(cpu)->record->ticks, __ATOMIC_RELAXED);
}

static void no_tick_is_lost(const struct testing *test)
{
    GUARD(preempt) here = scheduler_stay();
    uint64_t expected = (cpu_ns() - start.ns) / TICK_NS;

    for (unsigned cpu = 0; cpu < cpu_count(); cpu++) {
        uint64_t ticks = __atomic_load_n(&cpu_get(cpu)->record->ticks, __ATOMIC_RELAXED) - start.ticks[cpu];
        log_info("CPU %u: %lu ticks in %lu periods", cpu, ticks, expected);
        testing_need(test, ticks + 2 >= expected && ticks <= expected + 2);
    }
}

/* ---- where lines go ---- */

/* Whether the real-time clock interrupts `cpu`, and no other one, once what is under way has arrived. */
static bool clock_goes_to(const struct testing *test, unsigned cpu)
{
    uint64_t before[CPU_MAX];

    testing_need(test, interrupts_go_on());
    for (unsigned i = 0; i < cpu_count(); i++)
        before[i] = interrupts_count(INTERRUPTS_CLOCK, i);
    bool comes = testing_await(interrupts_count(INTERRUPTS_CLOCK, cpu) >= before[cpu] + CLOCKS);
    for (unsigned i = 0; i < cpu_count(); i++)
        if (i != cpu && interrupts_count(INTERRUPTS_CLOCK, i) != before[i])
            return false;
    return comes;
}

/* Calls a function that only the four cells have: an edge to it would keep the first version from taking over. */
static enum err set_line(unsigned irq, const struct ioapic_line *line)
{
    __typeof__(ioapic_set) *set;
    uint64_t address;

    if (lifecycle_symbol("ioapic_set", &address) != ERR_OK)
        return ERR_UNSUPPORTED;
    set = (__typeof__(set))address;
    return set(irq, line);
}

static void lines_have_limits(const struct testing *test)
{
    testing_need(test, ioapic_route(SPARE_IRQ, 15) == ERR_RANGE);
    testing_need(test, ioapic_route(FAR_IRQ, interrupts_vector()) == (is_whole() ? ERR_UNSUPPORTED : ERR_NOT_FOUND));
}

static void lines_are_routed(const struct testing *test)
{
    unsigned last = cpu_count() - 1;
    const struct ioapic_line line = {.vector = interrupts_vector(), .cpu = last};

    testing_need(test, clock_goes_to(test, 0));
    testing_need(test, set_line(INTERRUPTS_CLOCK_IRQ, &line) == ERR_OK && clock_goes_to(test, last));
    join_cells(test);
    testing_need(test, set_line(INTERRUPTS_CLOCK_IRQ, &line) == ERR_UNSUPPORTED && clock_goes_to(test, 0));
    lines_have_limits(test);
    split_cell(test);
    lines_have_limits(test);
    testing_need(test, clock_goes_to(test, 0));
}

/* What the first version cannot do is no reason to lose interrupts. */
static void loss_is_refused(const struct testing *test)
{
    struct ioapic_line line = {.vector = interrupts_vector(), .level = true};

    testing_need(test, set_line(SPARE_IRQ, &line) == ERR_OK);
    testing_need(test, exchange_cells(four, one_member, 0, &report) == ERR_UNSUPPORTED && is_split());
    line = (struct ioapic_line){.vector = interrupts_vector(), .low = true};
    testing_need(test, set_line(SPARE_IRQ, &line) == ERR_OK);
    testing_need(test, exchange_cells(four, one_member, 0, &report) == ERR_UNSUPPORTED && is_split());
    line.masked = true;
    testing_need(test, set_line(SPARE_IRQ, &line) == ERR_OK);
    join_cells(test);
    testing_need(test, exchange_cells(one, three, 0, &report) == ERR_MISSING_SYMBOL && is_whole());
    split_cell(test);
    testing_need(test, interrupts_go_on());
}

/* ---- again and again ---- */

static void again_and_again(const struct testing *test)
{
    begin_ticks();
    for (unsigned i = 0; i < EXCHANGES; i++) {
        if (i % 2)
            split_cell(test);
        else
            join_cells(test);
        processors_are_known(test);
        timers_count(test);
        testing_need(test, interrupts_go_on());
    }
    no_tick_is_lost(test);
}

static void all_reaped(const struct testing *test)
{
    testing_need(test, testing_await(!reap_replaced()));
}

static int test_apic_main(int, char **)
{
    struct testing test = testing_begin("test_apic");

    struct cell_ref calibration; /* depends on them too */

    testing_need(&test, loader_load("calibration", &calibration, &report) == LOAD_OK);
    testing_need(&test, is_split() && interrupts_start());
    join_cells(&test); /* page tables, handles and objects of both stay */
    split_cell(&test);
    testing_need(&test, interrupts_stop());
    all_reaped(&test);
    test = testing_begin("test_apic");
    testing_need(&test, interrupts_start());
    count_dependents(&test);
    testing_ok(&test, "25 or more functions and data depend on the four cells");
    lines_are_routed(&test);
    testing_ok(&test, "lines go to any CPU with four cells, to the first one with one");
    loss_is_refused(&test);
    testing_ok(&test, "the one cell does not take over lines that it would lose");
    again_and_again(&test);
    testing_ok(&test, "20 exchanges under load, and no tick is lost");
    testing_need(&test, interrupts_stop());
    testing_ok(&test, "no interrupt of a device, from a CPU, or for a shootdown is lost");
    all_reaped(&test);
    testing_end(&test);
}
MAIN(test_apic_main);
