/* The kernel heap: blocks of any size, from mapped pages. Blocks are 16-byte aligned and zeroed.
 * Never from an interrupt handler. Empty chunks go back to the page allocator, but for one per size. */
#pragma once
#include "cells/cell.h"

void heap_free(TAKES void *block); /* accepts NULL; panics on what is no block, or free already */
/* NULL when memory is out. What is made of it has a release function of its own, so it is not tied to heap_free. */
__attribute__((warn_unused_result)) void *heap_alloc(size_t bytes);

/* Whether `address` is where a block begins or began; ret_bytes: that were asked for, 0 when it has been freed. Of any
 * address, mapped or not; by the time of the answer the block may be gone. */
bool heap_is_block(const void *address, size_t *ret_bytes);

/* Gives back the empty chunks too: for tests that count frames. */
void heap_trim(void);

/* OWN(heap) void *p = heap_alloc(n); */
static inline __attribute__((always_inline)) void heap_own_end(void *own)
{
    heap_free(*(void **)own);
}
