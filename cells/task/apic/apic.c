/* See apic.h. Version 2: periods as asked for, and every source of the local APIC. The rest is in local.c, which every
 * version of the cell has. */
#include "cells/task/apic/apic.h"
#include "cells/task/apic/local.h"

CELL("apic", KERNEL, 2);
FOUNDATION();
EXPORT(apic_timer_set, KERNEL);
EXPORT(apic_source_set, KERNEL);
EXPORT(apic_errors, KERNEL);

void apic_timer_set(enum apic_timer_mode mode, unsigned vector, uint32_t ticks)
{
    local_write(REG_TIMER_DIVIDE, DIVIDE_BY_16);
    local_write(REG_TIMER, ticks ? vector | (mode == APIC_TIMER_PERIODIC ? TIMER_PERIODIC : 0) : LOCAL_MASKED);
    local_write(REG_TIMER_START, ticks);
}

enum err apic_source_set(enum apic_source source, unsigned vector)
{
    static const enum local_register of[] = {
        [APIC_THERMAL] = REG_THERMAL, [APIC_PERFORMANCE] = REG_PERFORMANCE, [APIC_ERROR] = REG_SOURCE_ERROR};

    if (source >= array_size(of) || (vector && (vector < 16 || vector > 0xfe)))
        return ERR_RANGE;
    local_write(of[source], vector ? vector : LOCAL_MASKED);
    return ERR_OK;
}

uint32_t apic_errors(void)
{
    local_write(REG_ERROR, 0); /* has the register show what was noted */
    return local_read(REG_ERROR);
}

static enum err apic_init(void)
{
    return local_init();
}
INIT(apic_init);
