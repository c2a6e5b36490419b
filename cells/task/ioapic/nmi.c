/* See ioapic.h. What cell apic_v1 has too. */
#include "cells/task/ioapic/ioapic.h"
#include "cells/task/ioapic/lines.h"

EXPORT(ioapic_route_nmi, KERNEL);
EXPORT(ioapic_mask, KERNEL);

static struct isa_override nmi_isa[ISA_IRQS];
static bool nmi_isa_known;
SET_ONCE(nmi_isa);
SET_ONCE(nmi_isa_known);

void nmi_lines_init(void)
{
    if (!nmi_isa_known)
        lines_overrides(nmi_isa);
    nmi_isa_known = true;
}

static enum err set_line(unsigned irq, uint64_t word)
{
    struct line line;

    if (irq >= ISA_IRQS)
        return ERR_UNSUPPORTED;
    enum err e = line_find(nmi_isa[irq].gsi, &line);
    if (e == ERR_OK)
        line_write(&line, word | nmi_isa[irq].flags);
    return e;
}

enum err ioapic_route_nmi(unsigned irq, uint32_t id)
{
    return id > LINE_CPU_ID_MAX ? ERR_RANGE : set_line(irq, (uint64_t)id << LINE_CPU_SHIFT | LINE_NMI);
}

void ioapic_mask(unsigned irq)
{
    (void)set_line(irq, LINE_MASKED);
}
