/* The hash of bytes that check words and object files are made of. Reads whole words, since a swap checks many bytes
 * while other CPUs are parked. Each step is reversible, so that bytes that differ in one word always differ in it. It
 * can be made of pieces: whole words first, the rest, which may be none, at the end. */
#pragma once
#include <stddef.h>
#include <stdint.h>

#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wanalyzer-use-of-uninitialized-value" /* it takes loops to go on past their end */
static inline uint64_t hash_word(uint64_t hash, uint64_t word)
{
    hash = (hash ^ word) * UINT64_C(0x9e3779b97f4a7c15);
    return hash ^ hash >> 32;
}

static inline uint64_t hash_load(const uint8_t *p)
{
    uint64_t word;

    __builtin_memcpy(&word, p, sizeof word);
    return word;
}

/* Adds the words among the bytes: those after the last whole one are left out. */
static inline uint64_t hash_words(uint64_t hash, const uint8_t *p, size_t bytes)
{
    const uint8_t *end = p + (bytes & ~(size_t)7);

    for (; end - p >= 32; p += 32) {
        hash = hash_word(hash, hash_load(p));
        hash = hash_word(hash, hash_load(p + 8));
        hash = hash_word(hash, hash_load(p + 16));
        hash = hash_word(hash, hash_load(p + 24));
    }
    for (; p != end; p += 8)
        hash = hash_word(hash, hash_load(p));
    return hash;
}
#pragma GCC diagnostic pop

/* Adds fewer bytes than a word has, as one. */
static inline uint64_t hash_rest(uint64_t hash, const uint8_t *p, size_t bytes)
{
    uint64_t word = 0;

    while (bytes > 0)
        word = word << 8 | p[--bytes];
    return hash_word(hash, word);
}
