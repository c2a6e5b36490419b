/* The path from an exception to its handler, damaged: no frame of the fault is left, so the task is not unwound. */
#include "cells/core/cpu/cpu.h"
#include "cells/core/exception/exception.h"
#include "cells/core/page/page.h"
#include "cells/task/park/park.h"
#include "tests/guest/tests/test_fault/test_fault.h"

#define GATE_BYTES 16

static volatile uint64_t zero;

static void damage_text(const char *name)
{
    const struct arena_section *text = test_fault_section("exception", name);
    volatile uint8_t *bytes = page_direct(text->phys);

    bytes[6] = 0x0f; /* ud2 */
    bytes[7] = 0x0b;
}

static void damage_entry(void)
{
    damage_text(".text.exception_common");
}

static void damage_dispatch(void)
{
    damage_text(".text.exception_dispatch");
}

static void lose_handler(void)
{
    exception_handlers[EXCEPTION_PF] = NULL;
}

static void lose_stack(void)
{
    *cpu_this()->fault_stack_ist = 0;
}

static void lose_gate(void)
{
    struct {
        uint16_t limit;
        uint8_t *base;
    } __attribute__((packed)) table;

    __asm__ volatile("sidt %0" : "=m"(table));
    for (unsigned i = 0; i < GATE_BYTES; i++)
        ((volatile uint8_t *)table.base)[EXCEPTION_PF * GATE_BYTES + i] = 0;
}

static void (*const ways[])(void) = {damage_entry, damage_dispatch, lose_handler, lose_stack, lose_gate};

/* The other CPUs are parked, so that none of them meets the damage first. */
static void fail_on_damaged_path(uint64_t way)
{
    GUARD(park) parked = park_all();

    ways[way]();
    *(volatile int *)zero = 1;
}

void test_fault_path(const struct testing *test)
{
    for (uint64_t way = 0; way < array_size(ways); way++)
        testing_need(test, test_fault_fails(fail_on_damaged_path, way) && test_fault_settled());
}
