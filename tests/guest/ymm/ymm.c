/* See ymm.h. What a compiler makes of loops; the rest is in hold.S. */
#include "tests/guest/ymm/ymm.h"
#include "cells/kernel/heap/heap.h"

CELL("ymm", LIBRARY, 1);
EXPORT(ymm_hold, APPLICATION);
EXPORT(ymm_look, APPLICATION);
EXPORT(ymm_divide, APPLICATION);
EXPORT(ymm_crash, APPLICATION);
EXPORT(ymm_hide, APPLICATION);
EXPORT(ymm_sum, APPLICATION);

_Static_assert(sizeof(struct ymm_state) == 528 && offsetof(struct ymm_state, mxcsr) == 512);
_Static_assert(offsetof(struct ymm_state, x87) == 520);

static __attribute__((noinline)) void change(uint32_t *to, const uint32_t *from, size_t count)
{
    for (size_t i = 0; i < count; i++)
        to[i] = from[i] * 3 + 1;
}

uint64_t ymm_sum(const uint32_t *words, size_t count)
{
    uint64_t lanes[8] __attribute__((aligned(64))) = {};
    OWN(heap) uint32_t *copy = heap_alloc(count * sizeof *copy);
    uint64_t sum = 0;

    if (!copy)
        return 0;
    change(copy, words, count);
    for (size_t i = 0; i < count; i++)
        lanes[i & 7] += copy[i];
    __asm__ volatile("" : "+m"(lanes));
    for (size_t i = 0; i < array_size(lanes); i++)
        sum += lanes[i];
    return sum;
}
