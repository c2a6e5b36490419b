/* Private to memory_fs: nodes and the contents of files in one copy of the volume. All of it: call inside the volume;
 * `k` is the number of the copy. What is damaged panics. */
#pragma once
#include "cells/fs/memory_fs/volume.h"

/* Check words: a CRC-32C where the CPU has it. `bytes` is a multiple of 8. */
uint32_t sum_of(const void *from, size_t bytes);

/* The record of a slot. record_try: NULL when its block is not there; record_at panics, also when it is not right. */
struct record *record_try(struct volume *volume, unsigned k, uint64_t slot);
struct record *record_at(struct volume *volume, unsigned k, uint64_t slot);
bool record_is_right(const struct record *record, uint64_t slot);
void record_seal(struct record *record, uint64_t slot);
/* The number of the block that a slot is in. */
static inline uint64_t record_block(uint64_t slot)
{
    return DATA_BLOCKS + slot * RECORD_BYTES / BLOCK_BYTES;
}

/* What a path names. */
struct place {
    enum err error; /* ERR_INVALID: no valid path; ERR_NOT_FOUND: a directory before the last name is not there */
    uint32_t kind;  /* of the node */
    uint64_t parent, node; /* SLOT_NONE: there is no node of that name; the root has no parent */
    char name[MEMORY_FS_NAME_BYTES];
};
struct place place_find(struct volume *volume, unsigned k, const char *path) NEEDS(volume);
/* Node number `index` of a directory, in order of creation; SLOT_NONE: there are not so many. */
uint64_t node_listed(struct volume *volume, unsigned k, uint64_t directory, size_t index) NEEDS(volume);
bool node_has_children(struct volume *volume, unsigned k, uint64_t directory) NEEDS(volume);
/* A free slot, whose block is mapped. ERR_FULL, ERR_NOMEM. */
enum err node_find_slot(struct volume *volume, uint64_t *ret_slot) NEEDS(volume);
/* Makes the root in both copies of a new volume. ERR_NOMEM. */
enum err node_make_root(struct volume *volume) NEEDS(volume);

static inline size_t blocks_of(size_t bytes)
{
    return (bytes + BLOCK_BYTES - 1) / BLOCK_BYTES;
}

/* The entry of block number `index` of a file. NULL: none, since a block of entries is missing. */
struct entry *entry_at(struct volume *volume, unsigned k, struct record *record, size_t index) NEEDS(volume);
/* The contents of a block of a file; NULL: it reads as zeroes. */
const uint8_t *content_block(struct volume *volume, unsigned k, struct record *record, size_t index) NEEDS(volume);

/* In the first copy; the record is not sealed then. ERR_FULL, ERR_NOMEM: part of it is done. */
enum err content_write(struct volume *volume, struct record *record, size_t at, const uint8_t *from, size_t bytes)
    NEEDS(volume);
/* The same. Sets the length, and clears what is beyond it. Blocks stay marked as used. */
void content_cut(struct volume *volume, struct record *record, size_t bytes) NEEDS(volume);
void content_read(struct volume *volume, unsigned k, struct record *record, size_t at, uint8_t *to, size_t bytes)
    NEEDS(volume);
