/* The kernel heap: blocks of any size, from mapped pages. Invariant: a block is aligned to 16 bytes and was zeroed when
 * it was allocated. Never from an interrupt handler. */
#pragma once
#include "cells/cell.h"

/* Frees a block. Accepts NULL. Panics on what is no block or is free. */
void heap_free(TAKES void *block);
/* Allocates a block of at least `bytes` bytes. Release it with heap_free. NULL: memory is out; that happens to a task
 * of an application only if it asks for far too much: else room is made, by ending a task, which may be this one
 * (cells/recover/kill/memory.c). Not RELEASED_BY(heap_free), since the types that are made of blocks have release
 * functions of their own. */
__attribute__((warn_unused_result)) void *heap_alloc(size_t bytes);

/* Whether a block begins at `address`, which may be any number, or did before it was freed. ret_bytes: the bytes that
 * were asked for; 0: it is freed. Takes no lock: the block may be freed before the caller reads the answer. */
bool heap_is_block(const void *address, size_t *ret_bytes);

/* Frees the one empty chunk that is kept for each size: when memory is short, and in tests that count frames. */
void heap_trim(void);

/* Makes what the heap keeps of its blocks, which are free and where, again from the blocks themselves, and mends their
 * headers as far as they say what they were. After a fault, with the other CPUs parked and no lock held. Does nothing
 * while its table of sizes is damaged. */
void heap_rebuild(void);

/* For OWN(heap) void *p = heap_alloc(n). */
static inline __attribute__((always_inline)) void heap_own_end(void *own)
{
    heap_free(*(void **)own);
}
