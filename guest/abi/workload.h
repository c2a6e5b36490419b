/* The parts of the workload (cells/app/workload) and how their values make the checksum of a round, as both sides must
 * have them: the guest runs the parts that its command line names, and the host judges what they deliver. */
#pragma once
#include <stddef.h>
#include <stdint.h>

/* Tasks, by what they do in every round. */
enum part {
    PART_PRODUCER,
    PART_CONSUMER,
    PART_PAINTER,
    PART_FILER,
    PART_SPAWNER,
    PART_ALLOCATOR,
    PART_OPENER,
    PART_READER,
    PART_WRITER,
    PARTS
};

/* Sets of parts have bit 1 << part. */
#define WORKLOAD_DEFAULT ((1u << PART_OPENER) - 1) /* the filer opens, writes and reads */

/* What people write: workload=WORD,WORD on the guest's command line. */
static const struct workload_word {
    const char *word;
    uint32_t parts;
} workload_words[] = {
    {"channel", 1u << PART_PRODUCER | 1u << PART_CONSUMER},
    {"graphics", 1u << PART_PAINTER},
    {"files", 1u << PART_FILER},
    {"spawn", 1u << PART_SPAWNER},
    {"memory", 1u << PART_ALLOCATOR},
    {"open", 1u << PART_OPENER},
    {"read", 1u << PART_READER},
    {"write", 1u << PART_WRITER},
};

/* The parts of a word of so many characters. 0: it is none. */
static inline uint32_t workload_parts_of(const char *word, size_t characters)
{
    for (size_t i = 0; i < sizeof workload_words / sizeof *workload_words; i++) {
        const char *known = workload_words[i].word;
        size_t n = 0;

        while (n < characters && known[n] && known[n] == word[n])
            n++;
        if (n == characters && !known[n])
            return workload_words[i].parts;
    }
    return 0;
}

/* The parts of words with commas between. 0: one of them is none. */
static inline uint32_t workload_parse(const char *words)
{
    uint32_t all = 0;

    for (;;) {
        size_t n = 0;

        while (words[n] && words[n] != ',')
            n++;
        uint32_t parts = workload_parts_of(words, n);
        if (!parts)
            return 0;
        all |= parts;
        if (!words[n])
            return all;
        words += n + 1;
    }
}

#define WORKLOAD_SEED 0xcbf29ce484222325ull

/* splitmix64: spreads any counter over all bits. */
static inline uint64_t workload_mix(uint64_t x)
{
    x += 0x9e3779b97f4a7c15ull;
    x = (x ^ x >> 30) * 0xbf58476d1ce4e5b9ull;
    x = (x ^ x >> 27) * 0x94d049bb133111ebull;
    return x ^ x >> 31;
}

/* The checksum of a whole round from the values of its parts. */
static inline uint64_t workload_round(uint32_t index, uint32_t parts, const uint64_t value[PARTS])
{
    uint64_t all = workload_mix(WORKLOAD_SEED ^ index);

    for (unsigned i = 0; i < PARTS; i++)
        if (parts & 1u << i)
            all = workload_mix(all ^ value[i]);
    return all;
}
