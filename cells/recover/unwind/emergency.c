/* See emergency.h. */
#include "cells/recover/unwind/emergency.h"
#include "cells/core/page/page.h"

/* Mapped, so that they stay where they are when this cell is swapped, and what was never used is not searched then. */
static struct mapped_pages *stacks;
SET_ONCE(stacks);

static uint64_t stack_of(const struct cpu *cpu)
{
    return (uint64_t)page_start(stacks) + cpu->index * EMERGENCY_BYTES;
}

enum err emergency_init(void)
{
    if (!stacks)
        stacks = page_map(CPU_MAX * EMERGENCY_BYTES, PAGE_WRITE);
    return stacks ? ERR_OK : ERR_NOMEM;
}

uint64_t emergency_enter(struct cpu *cpu, uint64_t rsp)
{
    cpu->preempt_off++;
    return stack_of(cpu) + EMERGENCY_BYTES - 32 + (rsp & 8);
}

void emergency_leave(struct cpu *cpu)
{
    uint64_t *word = (uint64_t *)stack_of(cpu);

    if (cpu->preempt_off)
        cpu->preempt_off--;
    for (size_t i = 0; i < EMERGENCY_BYTES / sizeof *word; i++)
        word[i] = 0; /* old addresses in it would keep an old cell in memory */
}
