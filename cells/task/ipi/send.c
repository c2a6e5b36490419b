/* See ipi.h. What cell apic_v1 has too. */
#include "cells/task/apic/apic.h"
#include "cells/task/ipi/ipi.h"

EXPORT(ipi_send, KERNEL);
EXPORT(ipi_send_nmi, KERNEL);
EXPORT(ipi_send_init, KERNEL);
EXPORT(ipi_send_startup, KERNEL);

void ipi_send(uint32_t id, unsigned vector)
{
    apic_command(id, vector);
}

void ipi_send_nmi(uint32_t id)
{
    apic_command(id, APIC_NMI);
}

void ipi_send_init(uint32_t id)
{
    apic_command(id, APIC_INIT);
}

void ipi_send_startup(uint32_t id, uint64_t phys)
{
    apic_command(id, APIC_STARTUP | (uint32_t)(phys >> 12));
}
