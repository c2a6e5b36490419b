/* See emergency.h. */
#include "cells/recover/unwind/emergency.h"

static uint8_t emergency[CPU_MAX][EMERGENCY_BYTES] __attribute__((aligned(16)));

uint64_t emergency_enter(struct cpu *cpu, uint64_t rsp)
{
    cpu->preempt_off++;
    return (uint64_t)emergency[cpu->index] + EMERGENCY_BYTES - 32 + (rsp & 8);
}

void emergency_leave(struct cpu *cpu)
{
    uint64_t *word = (uint64_t *)emergency[cpu->index];

    if (cpu->preempt_off)
        cpu->preempt_off--;
    for (size_t i = 0; i < EMERGENCY_BYTES / sizeof *word; i++)
        word[i] = 0; /* old addresses in it would keep an old cell in memory */
}
