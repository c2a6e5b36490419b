/* What the parts compute in a round, as functions of the round's index alone: the host computes the right checksums
 * from the same code (tests/e2e/workload_table.c, guest/abi/rounds.h). No state, no cell but checksum. */
#pragma once
#include "cells/cell.h"
#include "cells/lib/checksum/checksum.h"
#include "guest/abi/rounds.h"
#include "guest/abi/workload.h"

#define PATTERN_CYCLE     ROUNDS_CYCLE /* rounds n and n % PATTERN_CYCLE are the same */
#define PATTERN_MESSAGES  64           /* exchanged per round */
#define PATTERN_BODY      40           /* bytes of payload of a message */
#define PATTERN_FRAMES    4            /* pictures drawn per round */
#define PATTERN_WIDTH     96
#define PATTERN_HEIGHT    64
#define PATTERN_FILES     3
#define PATTERN_FILE_MAX  12288
#define PATTERN_TASKS     4 /* short tasks spawned per round */
#define PATTERN_BLOCKS    32
#define PATTERN_BLOCK_MAX 3072
#define PATTERN_OPENS     24 /* files made, opened again and removed per round */
#define PATTERN_READS     4  /* times that a file is read per round */

#define PATTERN_SEED WORKLOAD_SEED

static inline uint64_t pattern_seed(enum part part, uint32_t index, uint32_t item)
{
    return workload_mix((uint64_t)part << 48 | (uint64_t)index << 24 | item);
}

static inline void pattern_fill(uint8_t *to, size_t bytes, uint64_t seed)
{
    for (size_t i = 0; i < bytes; i++) {
        if (i % 8 == 0)
            seed = workload_mix(seed);
        to[i] = (uint8_t)(seed >> i % 8 * 8);
    }
}

static inline uint64_t pattern_fold(uint64_t value, const void *data, size_t bytes)
{
    return checksum_fnv(value, data, bytes);
}

static inline uint64_t pattern_fold_word(uint64_t value, uint64_t word)
{
    return workload_mix(value ^ word);
}

static inline uint32_t pattern_frame(uint32_t index, uint32_t item)
{
    return index * PATTERN_FRAMES + item;
}

static inline size_t pattern_file_bytes(uint32_t index, uint32_t item)
{
    return 1 + pattern_seed(PART_FILER, index, item) % PATTERN_FILE_MAX;
}

static inline size_t pattern_block_bytes(uint32_t index, uint32_t item)
{
    return 1 + pattern_seed(PART_ALLOCATOR, index, item) % PATTERN_BLOCK_MAX;
}

/* Exit code of short task `item` of round `index`. */
static inline int32_t pattern_task(uint32_t index, uint32_t item)
{
    uint64_t value = pattern_seed(PART_SPAWNER, index, item);

    for (int i = 0; i < 1000; i++)
        value = workload_mix(value);
    return (int32_t)(value & 0x7fffffff);
}

/* The name of file `item` that is opened, cut to 16 bytes. */
static inline void pattern_name(uint32_t index, uint32_t item, char ret_name[16])
{
    uint64_t seed = pattern_seed(PART_OPENER, index, item);

    for (int i = 0; i < 15; i++)
        ret_name[i] = (char)('a' + (seed >> 4 * i) % 16);
    ret_name[15] = '\0';
}
