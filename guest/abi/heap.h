/* How the heap marks its blocks (cells/memory/heap), as the host must know it to find those in use. */
#pragma once
#include <stdint.h>

#define HEAP_SEAL_USED 0x75ed5ea1b10c4eadull
#define HEAP_SEAL_FREE 0x8a12a15e4ef3b152ull /* far from the other, in bits */

#define HEAP_OWNER_ID 0xffffffu /* of `owner`: the lower bits of the task's id */

/* Before each block, 16 bytes aligned. */
struct heap_header {
    uint64_t seal;   /* heap_seal */
    uint16_t offset; /* from the start of its chunk; 0: a mapping of its own */
    uint16_t bytes;  /* that were asked for; 0: a mapping of its own, with its bytes in the word before this */
    uint32_t owner;  /* the task that had it made: the index of its record above HEAP_OWNER_ID; 0: none */
};

/* Of a header at virtual address `address`; `kind` is one of HEAP_SEAL_*, or the heap's own. */
static inline uint64_t heap_seal(uint64_t address, uint32_t offset, uint64_t kind)
{
    return kind ^ address ^ (uint64_t)offset << 32;
}
