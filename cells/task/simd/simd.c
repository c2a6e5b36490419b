/* See simd.h. Uses no SIMD register itself, since it runs in namespaces whose tasks have none. The state of each CPU
 * is either forbidden (CR0.TS) or that of the task that runs there. */
#include "cells/task/simd/simd.h"
#include "cells/core/cpu/cpu.h"

CELL("simd", KERNEL, 1);
FOUNDATION();
EXPORT(simd_start_cpu, KERNEL);
EXPORT(simd_works, LIBRARY);
EXPORT(simd_load_initial, KERNEL);

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

/* header[0] is 0: XRSTOR resets every component. It loads only MXCSR from here: all exceptions masked. */
static const struct simd_state initial = {.mxcsr = 0x1f80};

static bool has_all(void)
{
    const uint32_t features = HAS_FMA | HAS_XSAVE | HAS_AVX;

    return cpu_leaf(0).a >= LEAF_STATE && (cpu_leaf(LEAF_FEATURES).c & features) == features &&
           cpu_leaf(LEAF_EXTENDED).b & HAS_AVX2 && (cpu_leaf(LEAF_STATE).a & SIMD_STATE) == SIMD_STATE;
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
        if (cpu_leaf(LEAF_STATE).b != SIMD_BYTES) /* for the components that XCR0 has now */
            cr4_write(cr4_read() & ~CR4_OSXSAVE);
    }
    simd_forbid();
}

void simd_load_initial(void)
{
    simd_load(&initial);
}

static enum err simd_init(void)
{
    simd_start_cpu();
    return ERR_OK;
}
INIT(simd_init);
