/* Where landing pads run when their task's stack has no room for what they call: on a stack that each CPU has in
 * reserve (thesis §11.3). Private to the unwind cell. */
#pragma once
#include "cells/core/cpu/cpu.h"

#define EMERGENCY_BYTES 8192

/* What an unwinding keeps of it. */
enum emergency {
    EMERGENCY_NOW = 1,    /* the pad that runs now does so on that stack */
    EMERGENCY_ALWAYS = 2, /* a pad has overflowed the task's stack: all that follow run there */
};

/* Makes the stacks. ERR_NOMEM. */
enum err emergency_init(void);
/* The stack pointer for a pad that would have `rsp`, on the stack in reserve of this CPU, where the task must stay
 * meanwhile: it is not preempted. Such a pad reaches its variables through rbp. */
uint64_t emergency_enter(struct cpu *cpu, uint64_t rsp);
/* When the pad has ended, or failed. */
void emergency_leave(struct cpu *cpu);
