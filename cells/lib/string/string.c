/* See string.h. Bytes are moved by the CPU's string instructions; no vector registers in the kernel. */
#include "cells/lib/string/string.h"

CELL("string", LIBRARY, 1);
CORE();
EXPORT(memcpy, APPLICATION);
EXPORT(memmove, APPLICATION);
EXPORT(memset, APPLICATION);
EXPORT(memcmp, APPLICATION);
EXPORT(string_length, APPLICATION);
EXPORT(string_equal, APPLICATION);
EXPORT(string_starts, APPLICATION);
EXPORT(string_copy, APPLICATION);

void *memcpy(void *to, const void *from, size_t bytes)
{
    void *d = to;
    size_t words = bytes / 8;

    bytes %= 8;
    __asm__ volatile("rep movsq" : "+D"(d), "+S"(from), "+c"(words)::"memory");
    __asm__ volatile("rep movsb" : "+D"(d), "+S"(from), "+c"(bytes)::"memory");
    return to;
}

void *memmove(void *to, const void *from, size_t bytes)
{
    if ((uintptr_t)to - (uintptr_t)from >= bytes)
        return memcpy(to, from, bytes);

    void *d = (char *)to + bytes - 1;
    const void *s = (const char *)from + bytes - 1;
    __asm__ volatile("std; rep movsb; cld" : "+D"(d), "+S"(s), "+c"(bytes)::"memory");
    return to;
}

void *memset(void *to, int value, size_t bytes)
{
    void *d = to;
    size_t words = bytes / 8;
    uint64_t fill = (uint8_t)value * 0x0101010101010101;

    bytes %= 8;
    __asm__ volatile("rep stosq" : "+D"(d), "+c"(words) : "a"(fill) : "memory");
    __asm__ volatile("rep stosb" : "+D"(d), "+c"(bytes) : "a"(fill) : "memory");
    return to;
}

static uint64_t word_at(const uint8_t *p)
{
    uint64_t word;

    __builtin_memcpy(&word, p, sizeof word);
    return word;
}

int memcmp(const void *a, const void *b, size_t bytes)
{
    const uint8_t *x = a, *y = b;

    while (bytes >= 8 && word_at(x) == word_at(y))
        x += 8, y += 8, bytes -= 8;
    for (size_t i = 0; i < bytes; i++)
        if (x[i] != y[i])
            return x[i] - y[i];
    return 0;
}

size_t string_length(const char *text)
{
    size_t length = 0;

    while (text[length])
        length++;
    return length;
}

bool string_equal(const char *a, const char *b)
{
    while (*a && *a == *b)
        a++, b++;
    return *a == *b;
}

bool string_starts(const char *text, const char *prefix)
{
    while (*prefix && *text == *prefix)
        text++, prefix++;
    return !*prefix;
}

void string_copy(char *to, const char *from, size_t bytes)
{
    size_t i = 0;

    for (; i + 1 < bytes && from[i]; i++)
        to[i] = from[i];
    memset(to + i, 0, bytes - i);
}
