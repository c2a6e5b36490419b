/* SIMD state: x87, SSE and AVX registers of a CPU and of the tasks that may use them (thesis §8.3; Intel SDM volume
 * 1, chapter 13).
 *
 * CR0.TS is clear on a CPU exactly while a task of a SIMD namespace runs there. In any other task a SIMD instruction
 * faults with "device not available". Interrupt handlers and all ordinary cells are compiled for general registers
 * only. So the state stays in the CPU from one switch of tasks to the next. A task that does not run has it on its
 * own stack, where stack scans find the pointers in it. */
#pragma once
#include "cells/cell.h"

#define SIMD_STATE  7u  /* components of XCR0: x87, SSE, AVX */
#define SIMD_BYTES  832 /* their size; compared with CPUID */
#define SIMD_LEGACY 512

/* As the CPU lays it out. */
struct simd_state {
    uint16_t fcw, fsw, ftw, fop;
    uint64_t rip, rdp;
    uint32_t mxcsr, mxcsr_mask;
    uint8_t registers[SIMD_LEGACY - 32];
    uint64_t header[8]; /* [0]: components that differ from their state after a reset; the rest zero */
    uint8_t rest[SIMD_BYTES - SIMD_LEGACY - 64];
} __attribute__((aligned(64)));
_Static_assert(sizeof(struct simd_state) == SIMD_BYTES && offsetof(struct simd_state, header) == SIMD_LEGACY);

/* The simd cell's part of struct task. The functions below do nothing for a task without SIMD state. */
struct simd_part {
    uint32_t enabled;         /* 1: the task has SIMD state; does not change. At offset 0: switch.S reads it */
    struct simd_state *saved; /* on the task's stack; NULL: the state is in the CPU */
};

/* Sets up the running CPU if it has AVX2 and FMA, and forbids SIMD to what runs. The boot CPU is set up by init. */
void simd_start_cpu(void);
/* Whether the running CPU has been set up. */
bool simd_works(void);

/* Loads the registers with what the ABI prescribes for the start of a program, and permits SIMD on this CPU. */
void simd_load_initial(void);

/* Makes SIMD instructions fault on this CPU. */
static inline void simd_forbid(void)
{
    enum { CR0_MP = 1 << 1, CR0_TS = 1 << 3 };
    uint64_t cr0;

    __asm__ volatile("mov %%cr0, %0" : "=r"(cr0));
    __asm__ volatile("mov %0, %%cr0" ::"r"(cr0 | CR0_MP | CR0_TS) : "memory");
}

/* Loads the registers from `state` and permits SIMD on this CPU. Interrupts off. Faults if reserved bits are set. */
static inline void simd_load(const struct simd_state *state)
{
    __asm__ volatile("clts; xrstor64 %0" ::"m"(*state), "a"(SIMD_STATE), "d"(0) : "memory");
}

/* Gives the running task the SIMD state of a task that starts. */
static inline void simd_begin(struct simd_part *part)
{
    if (!part->enabled)
        return;
    part->saved = NULL;
    simd_load_initial();
}

/* Saves the running task's registers into `state`, which must be on the task's stack. They stay in the CPU too.
 * Interrupts off. `saved` is set first: if the stack has no room for the state, the fault is this task's. */
static inline void simd_save(struct simd_part *part, struct simd_state *state)
{
    if (!part->enabled)
        return;
    part->saved = state;
    for (size_t i = 0; i < array_size(state->header); i++)
        state->header[i] = 0;
    __asm__ volatile("xsave64 %0" : "+m"(*state) : "a"(SIMD_STATE), "d"(0) : "memory");
}

/* Reloads the running task's saved registers; does nothing if none were saved. Interrupts off. */
static inline void simd_restore(struct simd_part *part)
{
    if (!part->saved)
        return;
    simd_load(part->saved);
    part->saved = NULL;
}
