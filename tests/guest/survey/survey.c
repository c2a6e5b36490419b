/* See survey.h. */
#include "tests/guest/survey/survey.h"
#include "cells/kernel/heap/heap.h"
#include "cells/lib/string/string.h"

CELL("survey", KERNEL, 1);
EXPORT(survey_ask, APPLICATION);
EXPORT(survey_table, APPLICATION);

uint64_t survey_table[4096] = {1};

static uint64_t twice(uint64_t n)
{
    return 2 * n;
}

__attribute__((cold, noinline)) static uint64_t rare(uint64_t n)
{
    return n + survey_jump(n);
}

/* Pointers in data: to functions of its own and of others, to data, into the middle of it, to itself, to strings. */
static uint64_t (*const functions[])(uint64_t n) = {twice, rare, survey_jump};
static void *(*imported)(size_t bytes) = heap_alloc;
static uint64_t *middle = &survey_table[2000];
static void *itself = &itself;
static const char *const words[] = {"one", "two", "one", "three\0hidden"};
static struct {
    const char *name;
    const uint64_t *last;
} pairs[] = {{"pair", &survey_table[4095]}, {"pair", survey_table}};

/* A table of jumps, which the compiler fills with addresses or distances. */
static uint64_t branch(uint64_t n)
{
    switch (n) {
    case 0:
        return twice(n + 3);
    case 1:
        return rare(n);
    case 2:
        return survey_table[17];
    case 3:
        return string_length(words[1]);
    case 4:
        return (uint64_t)middle;
    case 5:
        return n * 31;
    case 6:
        return (uint64_t)pairs[n & 1].last;
    case 7:
        return (uint64_t)itself;
    default:
        return 9;
    }
}

/* Static locals, atomics, and addresses in assembly: sign-extended, absolute, relative. */
static uint64_t counted(uint64_t n)
{
    static uint64_t calls = 5, *self = &calls;
    static const uint8_t map[256] = {[7] = 1};
    uint64_t a, b;

    __atomic_add_fetch(self, n, __ATOMIC_SEQ_CST);
    __asm__("movq $survey_table + 64, %0; leaq survey_table - 8(%%rip), %1" : "=r"(a), "=r"(b));
    return calls + a + b + map[n & 255] + survey_table[n & 4095];
}

uint64_t survey_ask(unsigned what, uint64_t n)
{
    if (what == 7)
        return *(const uint64_t *)imported(n);
    return what < array_size(functions) ? functions[what](n)
                                        : branch(n) + counted(n) + (uint64_t)survey_distance[n & 3];
}
