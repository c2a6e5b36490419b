/* The SIMD state of a CPU: x87, SSE and AVX registers (thesis §8.3; Intel SDM volume 1, chapter 13).
 *
 * CR0.TS is clear on a CPU exactly while a task of a SIMD namespace runs there. Any other task that comes upon an instruction
 * of SIMD faults with "device not available", and has nothing to do with SIMD else. Interrupt handlers and all ordinary
 * cells are compiled for general registers only, so that the state stays in the CPU from one switch of tasks to the next. */
#pragma once
#include "cells/cell.h"

#define SIMD_STATE  7u  /* components of XCR0: x87, SSE, AVX */
#define SIMD_BYTES  832 /* what they take; compared with CPUID */
#define SIMD_LEGACY 512

/* As the CPU lays it out. */
struct simd_state {
    uint16_t fcw, fsw, ftw, fop;
    uint64_t rip, rdp;
    uint32_t mxcsr, mxcsr_mask;
    uint8_t registers[SIMD_LEGACY - 32];
    uint64_t header[8]; /* [0]: components that are not as after a reset; the rest zero */
    uint8_t rest[SIMD_BYTES - SIMD_LEGACY - 64];
} __attribute__((aligned(64)));
_Static_assert(sizeof(struct simd_state) == SIMD_BYTES && offsetof(struct simd_state, header) == SIMD_LEGACY);

/* Sets up the running CPU, where it has AVX2 and FMA, and takes SIMD away from what runs. The boot CPU's by init. */
void simd_start_cpu(void);
bool simd_works(void); /* the CPU has them, and is set up */

/* The running task may use SIMD from here on; the state is as the ABI wants it at the start of a program. */
void simd_begin(void);

/* Interrupts off: the CPU's state to `ret_state`; it stays in the CPU too. */
static inline void simd_save(struct simd_state *ret_state)
{
    for (size_t i = 0; i < array_size(ret_state->header); i++)
        ret_state->header[i] = 0;
    __asm__ volatile("xsave64 %0" : "+m"(*ret_state) : "a"(SIMD_STATE), "d"(0) : "memory");
}

/* Interrupts off: the CPU's state from `state`, and SIMD may be used. Reserved bits in it fault. */
static inline void simd_resume(const struct simd_state *state)
{
    __asm__ volatile("clts; xrstor64 %0" ::"m"(*state), "a"(SIMD_STATE), "d"(0) : "memory");
}

/* SIMD may no longer be used on this CPU. */
static inline void simd_end(void)
{
    enum { CR0_MP = 1 << 1, CR0_TS = 1 << 3 };
    uint64_t cr0;

    __asm__ volatile("mov %%cr0, %0" : "=r"(cr0));
    __asm__ volatile("mov %0, %%cr0" ::"r"(cr0 | CR0_MP | CR0_TS) : "memory");
}
