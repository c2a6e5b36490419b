/* Where the RAM of a machine lies for its guest, under every hypervisor: the first 2 GiB from 0 on, and what is more
 * from 4 GiB on; between them are devices. Its file has both parts one behind the other. Who maps a machine's RAM
 * (machine_ram_map) gets both parts where the guest has them, so that physical address `at` is at base + at, and as
 * size the end of the last part: `end`, here. In between, zeros can be read. */
#pragma once
#include <stdbool.h>
#include <stdint.h>

#define RAM_MAP_LOW_MAX (UINT64_C(2) << 30)
#define RAM_MAP_HIGH_AT (UINT64_C(4) << 30)

/* How much of the RAM is in its low part. */
static inline uint64_t ram_map_low(uint64_t ram_bytes)
{
    return ram_bytes < RAM_MAP_LOW_MAX ? ram_bytes : RAM_MAP_LOW_MAX;
}

/* The end of all physical addresses of RAM of that many bytes. */
static inline uint64_t ram_map_end(uint64_t ram_bytes)
{
    return ram_bytes <= RAM_MAP_LOW_MAX ? ram_bytes : RAM_MAP_HIGH_AT + (ram_bytes - RAM_MAP_LOW_MAX);
}

/* The opposite. */
static inline uint64_t ram_map_bytes(uint64_t end)
{
    return end <= RAM_MAP_HIGH_AT ? ram_map_low(end) : end - RAM_MAP_HIGH_AT + RAM_MAP_LOW_MAX;
}

/* Whether all `bytes` bytes at `at` are in RAM that ends there, and in one part of it. */
static inline bool ram_map_has(uint64_t end, uint64_t at, uint64_t bytes)
{
    uint64_t low = ram_map_low(end);

    if (at <= low)
        return bytes <= low - at;
    return at >= RAM_MAP_HIGH_AT && at <= end && bytes <= end - at;
}

/* Where in the file physical address `at` is, which RAM must have. */
static inline uint64_t ram_map_offset(uint64_t at)
{
    return at < RAM_MAP_HIGH_AT ? at : at - RAM_MAP_HIGH_AT + RAM_MAP_LOW_MAX;
}
