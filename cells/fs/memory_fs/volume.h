/* Private to memory_fs: the volume. All that files consist of is there twice, in two copies that lie apart: records of
 * nodes and blocks of contents, by number. A record has a check word, and check words of the blocks that it refers to,
 * so that of what differs it is known which copy is right.
 *
 * An operation changes the first copy, checks it against the second one and the caller's arguments, by other code than
 * that by which it was changed (check.h), and only then makes the second one like it. `stage` says how far it is: an
 * operation that a fault interrupts is either taken back or done whole, by whoever enters next (volume_repair).
 *
 * Blocks lie in extents, each a mapping of its own with an unmapped page behind it: a copy that runs past its end stops
 * there. The volume is a mapping too, with a seal by which it is found again when the cell's static data is lost. */
#pragma once
#include "cells/cell.h"
#include "cells/core/lock/lock.h"
#include "cells/fs/memory_fs/memory_fs.h"
#include "cells/task/wait_queue/wait_queue.h"

#define BLOCK_BYTES   4096ul
#define EXTENT_BLOCKS 8
#define SLOTS         2048 /* of nodes; more than the quota, since removed files may be open */
#define SLOT_ROOT     1
#define SLOT_NONE     0
#define DATA_BLOCKS   6144 /* the quota, and two blocks of entries for each node of the quota; number 0 is none */
#define RECORD_BYTES  128
#define RECORD_BLOCKS (SLOTS * RECORD_BYTES / BLOCK_BYTES)
#define BLOCKS        (DATA_BLOCKS + RECORD_BLOCKS)
#define EXTENTS       (BLOCKS / EXTENT_BLOCKS)
#define DIRECT        6
#define INDIRECT      2
#define INDEX_ENTRIES (BLOCK_BYTES / sizeof(struct entry))
#define FILE_BLOCKS   (MEMORY_FS_FILE_BYTES / BLOCK_BYTES)

enum kind { KIND_FREE, KIND_FILE, KIND_DIRECTORY, KIND_REMOVED /* a file that is open, in no directory */ };

/* A block and the check word of its contents; block 0: none, and reads as zeroes. */
struct entry {
    uint32_t sum, block;
};

/* A free one is all zero. */
struct record {
    uint32_t check; /* of the rest, and of the slot */
    uint32_t kind;
    uint64_t parent; /* slot */
    uint64_t order;  /* grows from node to node: which is older, and which one a slot had when a file was opened */
    uint64_t bytes;
    char name[MEMORY_FS_NAME_BYTES];
    struct entry direct[DIRECT];
    struct entry index[INDIRECT]; /* blocks of entries */
};
_Static_assert(sizeof(struct record) == RECORD_BYTES && DIRECT + INDIRECT * INDEX_ENTRIES >= FILE_BLOCKS);

struct copy {
    uint64_t extent[EXTENTS]; /* address, and its check in the upper 16 bits; 0: not mapped */
    uint64_t slots;           /* those from here on are free */
};

enum stage { STAGE_CLEAN, STAGE_FIRST /* the first copy is being changed */, STAGE_SECOND /* the second is */ };

struct CAPABILITY volume {
    uint64_t seal;       /* and another at the end: one of them is enough */
    struct lock lock;    /* guards busy and references only; held briefly */
    uint32_t busy;       /* id of the task that is in the volume; 0: none */
    uint32_t references; /* open handles */
    struct wait_queue free;
    uint32_t stage;
    uint64_t seen; /* the newest fault when the copies were last compared */
    struct copy copy[2];
    /* What follows from the records is made again with each comparison. */
    uint64_t nodes, blocks; /* the root, and blocks of entries, are not counted */
    uint64_t order;         /* of the next node */
    uint64_t used[BLOCKS / 64];
    uint64_t extents;     /* of data: those from here on are not mapped */
    uint16_t open[SLOTS]; /* handles */
    bool maps;            /* extents were mapped or unmapped since it was last set to false */
    uint64_t other_seal;
};
_Static_assert(BLOCKS % 64 == 0);

/* An empty volume. NULL: no memory. */
struct volume *volume_new(void);
/* The volume that the cell had before its static data was lost: `likely`, if there is one. NULL: none. */
struct volume *volume_find_again(const struct volume *likely);
/* The cell has the volume: from now on it is found again, and is not freed, whatever is said of references. */
void volume_seal(struct volume *volume);
/* Makes both seals right if one is. */
void volume_mend_seals(struct volume *volume);
/* The cell has it no more. Frees it when nothing refers to it. Accepts NULL. */
void volume_drop(TAKES struct volume *volume);
void volume_get(struct volume *volume);
/* Releases one reference. */
void volume_put(struct volume *volume);

/* Waits until no other task is in the volume, enters, and compares the copies if that is due: GUARD(volume) inside =
 * volume_enter(v). A task that ended, or was restarted, without leaving does not keep others out. */
struct volume_guard {
    struct volume *volume;
};
struct volume_guard volume_enter(struct volume *volume) HOLDS(volume);
void volume_guard_end(struct volume_guard *guard);
/* Counts one handle less of the node, without comparing the copies. False: it was the last one of a removed file. */
bool volume_close(struct volume *volume, uint64_t slot);

/* All below: call inside the volume. `k` is the number of a copy. */

/* A block of copy k. block_try: NULL when it is not there; block_at panics. */
uint8_t *block_try(struct volume *volume, unsigned k, uint64_t block);
uint8_t *block_at(struct volume *volume, unsigned k, uint64_t block);
/* Maps the extent of a block in both copies. ERR_NOMEM. */
enum err block_map(struct volume *volume, uint64_t block) NEEDS(volume);
bool block_is_used(const struct volume *volume, uint64_t block);
void block_mark(struct volume *volume, uint64_t block, bool used);
/* An unused data block, mapped, marked as used and zeroed in the first copy. ERR_FULL: the quota; ERR_NOMEM. */
enum err block_new(struct volume *volume, bool counts, uint64_t *ret_block) NEEDS(volume);
/* Unmaps extents without a used block, but for the first of data and the first of records. */
void extents_trim(struct volume *volume) NEEDS(volume);
