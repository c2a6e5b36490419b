/* FNV-1a of 64 bits, for the names of sections, types and seeds. Objects and records have guest/abi/hash.h. */
#pragma once
#include <stddef.h>
#include <stdint.h>

#define FNV_START UINT64_C(0xcbf29ce484222325)

/* Continues a hash. The first `hash` is FNV_START. */
static inline uint64_t fnv_add(uint64_t hash, const void *data, size_t bytes)
{
    const uint8_t *p = data;

    for (size_t i = 0; i < bytes; i++)
        hash = (hash ^ p[i]) * UINT64_C(0x100000001b3);
    return hash;
}
