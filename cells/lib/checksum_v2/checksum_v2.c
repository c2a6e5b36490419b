/* See cells/lib/checksum/checksum.h. Half a byte at a time, by a table of 64 bytes in place of a kilobyte: slower where
 * the large table stays in the cache, faster where it does not. */
#include "cells/lib/checksum/checksum.h"

CELL("checksum", LIBRARY, 2);
EXPORT(checksum_crc32, APPLICATION);
EXPORT(checksum_fnv, APPLICATION);

/* crc_table[i]: i shifted out bit by bit through the reversed polynomial 0xedb88320. */
static const uint32_t crc_table[16] = {
    0x00000000, 0x1db71064, 0x3b6e20c8, 0x26d930ac, 0x76dc4190, 0x6b6b51f4, 0x4db26158, 0x5005713c,
    0xedb88320, 0xf00f9344, 0xd6d6a3e8, 0xcb61b38c, 0x9b64c2b0, 0x86d3d2d4, 0xa00ae278, 0xbdbdf21c,
};

uint32_t checksum_crc32(uint32_t seed, const void *data, size_t bytes)
{
    const uint8_t *p = data;
    uint32_t crc = ~seed;

    for (size_t i = 0; i < bytes; i++) {
        crc ^= p[i];
        crc = crc >> 4 ^ crc_table[crc & 0xf];
        crc = crc >> 4 ^ crc_table[crc & 0xf];
    }
    return ~crc;
}

uint64_t checksum_fnv(uint64_t seed, const void *data, size_t bytes)
{
    const uint8_t *p = data;
    uint64_t hash = seed;

    for (size_t i = 0; i < bytes; i++)
        hash = (hash ^ p[i]) * 0x100000001b3;
    return hash;
}
