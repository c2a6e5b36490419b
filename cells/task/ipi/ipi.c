/* See ipi.h. */
#include "cells/task/ipi/ipi.h"
#include "cells/task/apic/apic.h"

CELL("ipi", KERNEL, 1);
FOUNDATION();
EXPORT(ipi_send_others, KERNEL);

void ipi_send_others(unsigned vector)
{
    apic_command(0, APIC_OTHERS | vector);
}
