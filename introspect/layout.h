/* Where the tables of an arena are: its header, copied out of guest memory once and made safe to use.
 * For the files of this library. */
#pragma once
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include "guest/abi/arena.h"
#include "guest/abi/err.h"
#include "guest/abi/layout.h"

/* What a record of each table must look like; record_bytes 1 for strings and mailbox. */
struct layout_rule {
    uint32_t record_bytes;
    uint32_t stable_bytes; /* 0: records have no check word */
    uint32_t most;         /* records, or bytes; no guest of this version has a larger table */
};
extern const struct layout_rule layout_rules[ARENA_TABLES];

struct layout {
    struct arena_header header; /* table[]: inside the arena, or capacity 0 when in `bad_tables` */
    uint32_t bad_tables;        /* bit per enum arena_table */
    uint32_t bad_used;          /* bit per table whose `used` was cut down to its capacity */
    uint32_t bad_bytes;         /* arena_bytes or header_bytes are not to be believed */
};

/* ERR_RANGE, ERR_NOT_FOUND, ERR_WRONG_ABI, ERR_CORRUPT as for view_take. */
enum err layout_read(const uint8_t *ram, size_t bytes, struct layout *ret_layout);

/* Whether bytes of guest memory are part of the header or of a table. */
bool layout_overlaps(const struct layout *layout, uint64_t phys, uint64_t bytes);
/* The bytes from the first table to the end of the last one; both 0: no table is to be believed. */
void layout_span(const struct layout *layout, uint64_t *ret_phys, uint64_t *ret_bytes);

/* Physical address of a table's start, or of one record of it. */
static inline uint64_t layout_phys(const struct layout *layout, enum arena_table table, uint32_t index)
{
    return LAYOUT_ARENA_PHYS + layout->header.table[table].offset + (uint64_t)index * layout_rules[table].record_bytes;
}

/* Where record `seq` of a ring stands; 0 for seq 0 or a ring without room. */
static inline uint32_t layout_ring_index(const struct layout *layout, enum arena_table table, uint64_t seq)
{
    uint32_t capacity = layout->header.table[table].capacity;

    return capacity < 2 || seq == 0 ? 0 : arena_ring_index(seq, capacity);
}
