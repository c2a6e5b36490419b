/* Private to memory_fs: what makes sure of the work of node.c. Nothing here calls what it judges, but to find a block.
 * All of it: call inside the volume. */
#pragma once
#include "cells/fs/memory_fs/volume.h"

/* The number of the newest fault that was logged, damage that the scrubber has found included. */
uint64_t check_newest_fault(void);

/* Of which cells the text is looked at: this one and what it always calls; also the heap; also what maps memory. */
enum check_extent { CHECK_OWN = 3, CHECK_HEAP = 4, CHECK_MAPS = 7 };

/* Panics if text is damaged by which an operation was done: then what was worked out by it is not to be believed. */
void check_text(enum check_extent extent);

enum change_kind { CHANGE_WRITE, CHANGE_CUT, CHANGE_ADD, CHANGE_REMOVE };

/* What an operation does to a node. */
struct change {
    enum change_kind kind;
    uint64_t node;
    enum kind becomes;   /* ADD: what the node is; REMOVE: KIND_FREE, or KIND_REMOVED while it is open */
    uint64_t parent;     /* ADD */
    const char *name;    /* ADD */
    size_t at, bytes;    /* WRITE; CUT: the new length in `bytes` */
    const uint8_t *from; /* WRITE */
};

/* Panics unless the first copy of the node is what the change makes of that in the second copy. */
void check_change(struct volume *volume, const struct change *change) NEEDS(volume);
/* Makes the second copy of the node like the first. */
void check_copy(struct volume *volume, uint64_t node) NEEDS(volume);
/* Whether [at, at + bytes) of a file in copy k is what is at `data`. */
bool check_content(struct volume *volume, unsigned k, uint64_t node, size_t at, const uint8_t *data, size_t bytes)
    NEEDS(volume);

/* Compares both copies of everything, puts what is wrong in one right from the other, and takes back or finishes an
 * operation that was interrupted. Panics while text is damaged. */
void volume_repair(struct volume *volume) NEEDS(volume);
