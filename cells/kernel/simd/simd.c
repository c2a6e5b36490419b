/* See simd.h. Names no SIMD register: this cell is loaded where tasks have none. */
#include "cells/kernel/simd/simd.h"
#include "cells/kernel/cpu/cpu.h"

CELL("simd", KERNEL, 1);
EXPORT(simd_start_cpu, KERNEL);
EXPORT(simd_works, LIBRARY);
EXPORT(simd_begin, KERNEL);

#define LEAF_FEATURES  1
#define HAS_FMA        (1u << 12) /* ecx */
#define HAS_XSAVE      (1u << 26)
#define HAS_AVX        (1u << 28)
#define LEAF_EXTENDED  7
#define HAS_AVX2       (1u << 5) /* ebx */
#define LEAF_STATE     0xd
#define CR4_OSFXSR     (1ul << 9)
#define CR4_OSXMMEXCPT (1ul << 10)
#define CR4_OSXSAVE    (1ul << 18)

/* No component is present, so that each is as after a reset; only MXCSR is taken from here all the same: all exceptions
 * masked. */
static const struct simd_state start = {.mxcsr = 0x1f80};

struct leaf {
    uint32_t a, b, c, d;
};

static struct leaf cpuid(uint32_t number)
{
    struct leaf leaf = {.a = number};

    __asm__ volatile("cpuid" : "+a"(leaf.a), "=b"(leaf.b), "+c"(leaf.c), "=d"(leaf.d));
    return leaf;
}

static bool has_all(void)
{
    const uint32_t features = HAS_FMA | HAS_XSAVE | HAS_AVX;

    return cpuid(0).a >= LEAF_STATE && (cpuid(LEAF_FEATURES).c & features) == features &&
           cpuid(LEAF_EXTENDED).b & HAS_AVX2 && (cpuid(LEAF_STATE).a & SIMD_STATE) == SIMD_STATE;
}

static uint64_t cr4_read(void)
{
    uint64_t cr4;

    __asm__ volatile("mov %%cr4, %0" : "=r"(cr4));
    return cr4;
}

static void cr4_write(uint64_t cr4)
{
    __asm__ volatile("mov %0, %%cr4" ::"r"(cr4) : "memory");
}

bool simd_works(void)
{
    return cr4_read() & CR4_OSXSAVE;
}

void simd_start_cpu(void)
{
    if (has_all()) {
        cr4_write(cr4_read() | CR4_OSFXSR | CR4_OSXMMEXCPT | CR4_OSXSAVE);
        __asm__ volatile("xsetbv" ::"c"(0), "a"(SIMD_STATE), "d"(0) : "memory");
        if (cpuid(LEAF_STATE).b != SIMD_BYTES) /* what XCR0 has now takes */
            cr4_write(cr4_read() & ~CR4_OSXSAVE);
    }
    simd_end();
}

void simd_begin(void)
{
    simd_resume(&start);
}

static enum err simd_init(void)
{
    simd_start_cpu();
    return ERR_OK;
}
INIT(simd_init);
