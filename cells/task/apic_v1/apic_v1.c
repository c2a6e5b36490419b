/* Version 1 of cell apic: all that a first system knew of interrupts, in one cell (thesis §9.1.4). It has what others
 * call of the cells apic, ioapic, ipi and shootdown, and no more: every interrupt of a device goes to the first CPU, as
 * an edge; the timer has one period. A swap exchanges this one cell for these four, or back.
 *
 * What is the same there is in files of those cells: local.c, lines.c, nmi.c, send.c, await.c, flush.c. Their static
 * data are carried as they are. */
#include "cells/core/cpu/cpu.h"
#include "cells/task/apic/apic.h"
#include "cells/task/apic/local.h"
#include "cells/task/ioapic/ioapic.h"
#include "cells/task/ioapic/lines.h"
#include "cells/task/shootdown/flush.h"

CELL("apic", KERNEL, 1);
FOUNDATION();
EXPORT(apic_timer_set, KERNEL);
EXPORT(ioapic_route, DRIVER);

#define PERIOD 625000 /* 10 ms at a bus clock of 1 GHz, divided by 16 */

static uint32_t isa_gsi[ISA_IRQS]; /* the line of each ISA interrupt */

void apic_timer_set(enum apic_timer_mode mode, unsigned vector, uint32_t ticks)
{
    bool periodic = mode == APIC_TIMER_PERIODIC;

    local_write(REG_TIMER_DIVIDE, DIVIDE_BY_16);
    local_write(REG_TIMER, ticks ? vector | (periodic ? TIMER_PERIODIC : 0) : LOCAL_MASKED);
    local_write(REG_TIMER_START, ticks && periodic ? PERIOD : ticks);
}

static uint64_t first_cpu(void)
{
    return (uint64_t)cpu_get(0)->apic_id << LINE_CPU_SHIFT;
}

enum err ioapic_route(unsigned irq, unsigned vector)
{
    struct line line;

    if (irq >= ISA_IRQS)
        return ERR_UNSUPPORTED;
    if (vector < LINE_VECTOR_MIN || vector > LINE_VECTOR_MAX)
        return ERR_RANGE;
    enum err e = line_find(isa_gsi[irq], &line);
    if (e == ERR_OK)
        line_write(&line, first_cpu() | vector);
    return e;
}

static void find_lines(void)
{
    struct isa_override isa[ISA_IRQS] = {0};

    lines_overrides(isa);
    for (unsigned irq = 0; irq < ISA_IRQS; irq++)
        isa_gsi[irq] = isa[irq].gsi;
}

static enum err apic_init(void)
{
    enum err e = local_init();

    if (e == ERR_OK)
        e = lines_init();
    find_lines();
    nmi_lines_init();
    return e == ERR_OK ? flush_init() : e;
}
INIT(apic_init);

/* Has this version's idea of a line whatever other versions have set up. ERR_UNSUPPORTED: a line is in use that is no
 * edge; then nothing has changed. A line that went to another CPU stays with the first one if the swap is undone
 * afterwards: no interrupt is lost by that. */
static enum err apic_transfer(const struct cell_transfer *)
{
    struct line line = {0, UINT32_MAX};

    while (line_next(&line)) {
        uint64_t word = line_read(&line);
        if (!(word & LINE_MASKED) && word & (LINE_LEVEL | LINE_LOW))
            return ERR_UNSUPPORTED;
    }
    find_lines();
    for (line = (struct line){0, UINT32_MAX}; line_next(&line);) {
        uint64_t word = line_read(&line);
        if (!(word & LINE_MASKED))
            line_write(&line, first_cpu() | (uint32_t)word);
    }
    return ERR_OK;
}
TRANSFER(apic_transfer);
