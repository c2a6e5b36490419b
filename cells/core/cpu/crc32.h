/* CRC-32C of whole words by the processor's instruction, which needs general registers only. Inline: recovery computes
 * it where no other cell may be called. */
#pragma once
#include "cells/core/cpu/cpu.h"

static uint32_t crc32_known; /* atomic: 0, or what was found */
SOFT(crc32_known);
enum { CRC32_NO = 1, CRC32_YES = 2 };

/* Whether the processor has it (SSE4.2; Intel SDM volume 2, CRC32). */
static inline bool has_crc32(void)
{
    uint32_t known = __atomic_load_n(&crc32_known, __ATOMIC_RELAXED);

    if (!known) { /* asking takes long in a virtual machine */
        known = cpu_leaf(1).c & CPU_HAS_CRC32 ? CRC32_YES : CRC32_NO;
        __atomic_store_n(&crc32_known, known, __ATOMIC_RELAXED);
    }
    return known == CRC32_YES;
}

/* Adds words to a CRC. Only where has_crc32(). */
static inline uint32_t crc32_words(uint64_t crc, const uint64_t *p, size_t words)
{
    for (; words >= 8; words -= 8, p += 8)
        __asm__("crc32q (%1), %0; crc32q 8(%1), %0; crc32q 16(%1), %0; crc32q 24(%1), %0; "
                "crc32q 32(%1), %0; crc32q 40(%1), %0; crc32q 48(%1), %0; crc32q 56(%1), %0"
                : "+r"(crc)
                : "r"(p), "m"(*(const uint64_t(*)[8])p));
    for (; words > 0; words--, p++)
        __asm__("crc32q %1, %0" : "+r"(crc) : "m"(*p));
    return (uint32_t)crc;
}
