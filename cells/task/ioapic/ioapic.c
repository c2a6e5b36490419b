/* See ioapic.h. The registers are in lines.c. */
#include "cells/task/ioapic/ioapic.h"
#include "cells/core/cpu/cpu.h"
#include "cells/task/ioapic/lines.h"

CELL("ioapic", KERNEL, 1);
FOUNDATION();
EXPORT(ioapic_route, DRIVER);
EXPORT(ioapic_set, DRIVER);
EXPORT(ioapic_get, DRIVER);

static struct isa_override isa[ISA_IRQS];
SET_ONCE(isa);

static uint32_t gsi_of(unsigned irq)
{
    return irq < ISA_IRQS ? isa[irq].gsi : irq;
}

enum err ioapic_set(unsigned irq, const struct ioapic_line *set)
{
    const struct cpu *cpu = cpu_get(set->cpu);
    struct line line;

    if (set->vector < LINE_VECTOR_MIN || set->vector > LINE_VECTOR_MAX || !cpu || cpu->apic_id > LINE_CPU_ID_MAX)
        return ERR_RANGE;
    enum err e = line_find(gsi_of(irq), &line);
    if (e != ERR_OK)
        return e;
    line_write(&line, (uint64_t)cpu->apic_id << LINE_CPU_SHIFT | set->vector | (set->level ? LINE_LEVEL : 0) |
                          (set->low ? LINE_LOW : 0) | (set->masked ? LINE_MASKED : 0));
    return ERR_OK;
}

enum err ioapic_get(unsigned irq, struct ioapic_line *ret_line)
{
    struct line line;
    enum err e = line_find(gsi_of(irq), &line);

    if (e != ERR_OK)
        return e;
    uint64_t word = line_read(&line);
    for (unsigned i = 0; i < cpu_count(); i++) {
        if (cpu_get(i)->apic_id != word >> LINE_CPU_SHIFT)
            continue;
        *ret_line = (struct ioapic_line){.vector = word & LINE_VECTOR,
                                         .cpu = i,
                                         .level = word & LINE_LEVEL,
                                         .low = word & LINE_LOW,
                                         .masked = word & LINE_MASKED};
        return ERR_OK;
    }
    return ERR_NOT_FOUND;
}

enum err ioapic_route(unsigned irq, unsigned vector)
{
    uint32_t flags = irq < ISA_IRQS ? isa[irq].flags : LINE_LEVEL | LINE_LOW;
    const struct ioapic_line line = {.vector = vector, .level = flags & LINE_LEVEL, .low = flags & LINE_LOW};

    return ioapic_set(irq, &line);
}

static enum err ioapic_init(void)
{
    lines_overrides(isa);
    nmi_lines_init();
    return lines_init();
}
INIT(ioapic_init);

/* Version 1 of apic, which this cell is split from, knows no trigger modes. The lines themselves are as they were. */
static enum err ioapic_transfer(const struct cell_transfer *)
{
    lines_overrides(isa);
    return ERR_OK;
}
TRANSFER(ioapic_transfer);
