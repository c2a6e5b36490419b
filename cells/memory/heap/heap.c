/* See heap.h. Small blocks are parts of chunks, one size per chunk, with a lock for each size; a large block is a
 * mapping of its own. Empty chunks are unmapped, but for one per size. Invariant: each block has a header whose seal
 * depends on its address, so that a pointer to no block, a double free and a write beyond a block are noticed. A chunk
 * has a seal too while its pool may give out its blocks. Pools and free lists say nothing that does not follow from the
 * seals. */
#include "cells/memory/heap/heap.h"
#include "cells/core/arena/arena.h"
#include "cells/core/cpu/cpu.h"
#include "cells/core/lock/lock.h"
#include "cells/core/page/page.h"
#include "cells/core/panic/panic.h"
#include "cells/lib/string/string.h"
#include "cells/memory/reclaim/reclaim.h"
#include "guest/abi/heap.h"

CELL("heap", KERNEL, 1);
FOUNDATION();
EXPORT(heap_alloc, APPLICATION);
EXPORT(heap_free, APPLICATION);
EXPORT(heap_trim, LIBRARY);
EXPORT(heap_is_block, KERNEL);
EXPORT(heap_rebuild, KERNEL);

#define CHUNK_BYTES 16384ul
#define SEAL_CHUNK  0xc40c5ea1b10c4eadull
#define FLIPS_MAX   8 /* so many flipped bits do not hide that a block is free */

struct free_block {
    struct heap_header header;
    struct free_block *next;
};

struct chunk {
    struct mapped_pages *pages;
    struct chunk *next, *previous; /* in its pool, while it has a free block */
    struct free_block *free;
    uint32_t used;
    uint16_t pool, bytes; /* index of its pool; of a block */
    uint64_t seal;        /* 0: no pool has it */
};

struct large {
    struct mapped_pages *pages;
    uint64_t bytes;
    struct heap_header header;
};

_Static_assert(CHUNK_BYTES <= UINT16_MAX && ARENA_TASKS_MAX <= UINT32_MAX / (HEAP_OWNER_ID + 1) + 1);
_Static_assert(sizeof(struct heap_header) == 16 && sizeof(struct chunk) % 16 == 0 && sizeof(struct large) % 16 == 0);

#define EACH_SIZE(X) X(32) X(48) X(64) X(96) X(128) X(192) X(256) X(384) X(512) X(768) X(1024) X(1536) X(2080) X(3216)
#define SIZE(bytes)  bytes,
#define AND(bytes)   +bytes
static const uint16_t sizes[] = {EACH_SIZE(SIZE)};
#define POOLS array_size(sizes)

static struct pool {
    struct lock lock;
    struct chunk *chunks; /* those with a free block */
    size_t empty;         /* of them, without a used one */
} pools[POOLS];

static uint64_t seal_of(const struct heap_header *header, uint64_t kind)
{
    return heap_seal((uint64_t)header, header->offset, kind);
}

static uint64_t seal_of_chunk(const struct chunk *chunk)
{
    return heap_seal((uint64_t)chunk, (uint32_t)chunk->pool << 16 | chunk->bytes, SEAL_CHUNK);
}

/* Whether the table of sizes is as it was written. With a wrong size blocks would overlap. */
static bool are_sizes_right(void)
{
    unsigned sum = 0;

    for (size_t i = 0; i < POOLS; i++)
        sum += __atomic_load_n(&sizes[i], __ATOMIC_RELAXED);
    return sum == 0 EACH_SIZE(AND);
}

/* What the record of a task says of the blocks that it had made is for choosing among tasks, not for freeing blocks. In
 * the moment in which this task is moved to another CPU, that of another task may be found, and charged. */
static uint32_t owner_here(void)
{
    const struct arena_cpu *cpu = cpu_this() ? cpu_this()->record : NULL;
    struct task_ref task = cpu ? cpu->current_task : NO_TASK;

    return task.index ? task.index * (HEAP_OWNER_ID + 1) | (arena_task(task)->id & HEAP_OWNER_ID) : 0;
}

static void charge(uint32_t owner, int64_t bytes)
{
    struct task_ref task = {owner / (HEAP_OWNER_ID + 1)};

    if (task.index && task.index < ARENA_TASKS_MAX && !((arena_task(task)->id ^ owner) & HEAP_OWNER_ID))
        __atomic_add_fetch(&arena_task(task)->heap_bytes, (uint64_t)bytes, __ATOMIC_RELAXED);
}

static void count(uint32_t owner, int64_t blocks, int64_t bytes)
{
    arena_count(COUNTER_heap_blocks, blocks);
    arena_count(COUNTER_heap_bytes, bytes);
    charge(owner, bytes);
}

/* ---- chunks ---- */

static void chunk_link(struct pool *pool, struct chunk *chunk) NEEDS(pool->lock)
{
    chunk->previous = NULL;
    chunk->next = pool->chunks;
    if (chunk->next)
        chunk->next->previous = chunk;
    pool->chunks = chunk;
}

static void chunk_unlink(struct pool *pool, struct chunk *chunk) NEEDS(pool->lock)
{
    if ((chunk->previous ? chunk->previous->next : pool->chunks) != chunk ||
        (chunk->next && chunk->next->previous != chunk))
        panic("heap: the list of chunks was written to");
    if (chunk->previous)
        chunk->previous->next = chunk->next;
    else
        pool->chunks = chunk->next;
    if (chunk->next)
        chunk->next->previous = chunk->previous;
}

static void chunk_put(struct chunk *chunk)
{
    if (chunk)
        mapped_pages_put(chunk->pages);
}
OWNABLE(chunk)

static struct chunk *chunk_new(uint32_t pool)
{
    if (!are_sizes_right())
        panic("heap: the table of sizes was written to");
    OWN(mapped_pages) struct mapped_pages *pages = reclaim_map(CHUNK_BYTES, PAGE_WRITE);
    if (!pages)
        return NULL;
    struct chunk *chunk = page_start(pages);
    chunk->pool = (uint16_t)pool;
    chunk->bytes = sizes[pool];
    for (uint64_t at = sizeof *chunk; at + sizes[pool] <= CHUNK_BYTES; at += sizes[pool]) {
        struct free_block *block = (struct free_block *)((uint8_t *)chunk + at);
        block->header.offset = (uint16_t)at;
        block->header.seal = seal_of(&block->header, HEAP_SEAL_FREE);
        block->next = chunk->free;
        chunk->free = block;
    }
    chunk->pages = MOVE(pages);
    return chunk;
}

/* Whether the chunk is one of the pool's, and has blocks of the size that the table says. */
static bool is_chunk_of(const struct chunk *chunk, const struct pool *pool)
{
    return chunk->seal == seal_of_chunk(chunk) && pool == &pools[chunk->pool] && chunk->bytes == sizes[chunk->pool];
}

static struct heap_header *chunk_take(struct pool *pool, struct chunk *chunk, size_t bytes) NEEDS(pool->lock)
{
    struct free_block *block = chunk->free;

    if (!is_chunk_of(chunk, pool))
        panic("heap: a chunk was written to");
    if (block->header.seal != seal_of(&block->header, HEAP_SEAL_FREE))
        panic("heap: a free block was written to");
    chunk->free = block->next;
    if (!chunk->used++)
        pool->empty--;
    if (!chunk->free)
        chunk_unlink(pool, chunk);
    block->header.bytes = (uint16_t)bytes;
    block->header.owner = owner_here();
    block->header.seal = seal_of(&block->header, HEAP_SEAL_USED); /* under the lock: what is free is in a list */
    return &block->header;
}

/* ---- small blocks ---- */

static struct heap_header *pool_take(struct pool *pool, size_t bytes)
{
    GUARD(lock) held = lock_take(&pool->lock);
    return pool->chunks ? chunk_take(pool, pool->chunks, bytes) : NULL;
}

static void pool_add(struct pool *pool, struct chunk *chunk)
{
    GUARD(lock) held = lock_take(&pool->lock);
    chunk->seal = seal_of_chunk(chunk);
    chunk_link(pool, chunk);
    pool->empty++;
}

static void *small_alloc(uint32_t index, size_t bytes)
{
    struct pool *pool = &pools[index];
    struct heap_header *header;

    /* pages are mapped with no lock held, so other tasks may take all blocks of the new chunk first */
    while (!(header = pool_take(pool, bytes))) {
        OWN(chunk) struct chunk *chunk = chunk_new(index);
        if (!chunk)
            return NULL;
        pool_add(pool, MOVE(chunk));
    }
    count(header->owner, 1, (int64_t)bytes);
    OWN(heap) void *block = header + 1;
    memset(block, 0, sizes[index] - sizeof *header);
    return MOVE(block);
}

/* Puts the block into the chunk's free list. Returns the chunk if it is to be freed, else NULL. */
static struct chunk *pool_give(struct pool *pool, struct chunk *chunk, struct heap_header *header)
{
    GUARD(lock) held = lock_take(&pool->lock);
    struct free_block *block = (struct free_block *)header;

    if (header->seal != seal_of(header, HEAP_SEAL_USED))
        panic("heap: a block is freed twice");
    header->seal = seal_of(header, HEAP_SEAL_FREE);
    block->next = chunk->free;
    if (!chunk->free)
        chunk_link(pool, chunk);
    chunk->free = block;
    if (--chunk->used)
        return NULL;
    if (!pool->empty) {
        pool->empty = 1;
        return NULL;
    }
    chunk_unlink(pool, chunk);
    chunk->seal = 0;
    return chunk;
}

static void small_free(struct heap_header *header)
{
    struct chunk *chunk = (struct chunk *)((uint8_t *)header - header->offset);
    int64_t bytes = header->bytes;
    uint32_t owner = header->owner;

    if (chunk->seal != seal_of_chunk(chunk))
        panic("heap: a chunk was written to");
    OWN(chunk) struct chunk *empty = pool_give(&pools[chunk->pool], chunk, header);
    count(owner, -1, -bytes);
}

/* ---- large blocks ---- */

static void *large_alloc(size_t bytes)
{
    OWN(mapped_pages) struct mapped_pages *pages = reclaim_map(sizeof(struct large) + bytes, PAGE_WRITE);

    if (!pages)
        return NULL;
    struct large *large = page_start(pages);
    large->bytes = bytes;
    large->header.owner = owner_here();
    large->header.seal = seal_of(&large->header, HEAP_SEAL_USED);
    large->pages = MOVE(pages);
    count(large->header.owner, 1, (int64_t)bytes);
    return large + 1;
}

static void large_free(struct heap_header *header)
{
    struct large *large = (struct large *)((uint8_t *)header - offsetof(struct large, header));

    header->seal = seal_of(header, HEAP_SEAL_FREE);
    count(header->owner, -1, -(int64_t)large->bytes);
    mapped_pages_put(large->pages);
}

/* ---- all blocks ---- */

void *heap_alloc(size_t bytes)
{
    if (bytes > SIZE_MAX / 2)
        return NULL;
    for (uint32_t index = 0; index < POOLS; index++)
        if (bytes + sizeof(struct heap_header) <= sizes[index])
            return small_alloc(index, bytes);
    return large_alloc(bytes);
}

void heap_free(void *block)
{
    if (!block)
        return;
    struct heap_header *header = (struct heap_header *)block - 1;
    if ((uint64_t)block % 16)
        panic("heap: freed what is no block");
    if (header->seal == seal_of(header, HEAP_SEAL_FREE))
        panic("heap: a block is freed twice");
    if (header->seal != seal_of(header, HEAP_SEAL_USED))
        panic("heap: freed what is no block");
    if (!header->offset) {
        large_free(header);
        return;
    }
    small_free(header);
}

bool heap_is_block(const void *address, size_t *ret_bytes)
{
    uint64_t at = (uint64_t)address - sizeof(struct heap_header), phys;
    struct large large;

    if ((uint64_t)address % 16 || page_translate(at, &phys))
        return false;
    memcpy(&large.header, page_direct(phys), sizeof large.header); /* blocks are aligned: no header crosses a page */
    bool used = large.header.seal == heap_seal(at, large.header.offset, HEAP_SEAL_USED);
    if (!used && large.header.seal != heap_seal(at, large.header.offset, HEAP_SEAL_FREE))
        return false;
    *ret_bytes = used ? large.header.bytes : 0;
    if (used && !large.header.offset) /* `bytes` is in the same page as the header */
        memcpy(ret_bytes, (const uint8_t *)page_direct(phys) - sizeof large.bytes, sizeof large.bytes);
    return true;
}

static struct chunk *pool_take_empty(struct pool *pool)
{
    GUARD(lock) held = lock_take(&pool->lock);

    for (struct chunk *chunk = pool->chunks; chunk; chunk = chunk->next)
        if (!chunk->used) {
            chunk_unlink(pool, chunk);
            pool->empty--;
            chunk->seal = 0;
            return chunk;
        }
    return NULL;
}

void heap_trim(void)
{
    for (size_t i = 0; i < POOLS; i++)
        for (struct chunk *chunk; (chunk = pool_take_empty(&pools[i]));)
            chunk_put(chunk);
}

/* ---- after a fault ---- */

static bool is_near(uint64_t seal, uint64_t right)
{
    unsigned flips = 0;

    for (uint64_t differ = seal ^ right; differ; differ &= differ - 1)
        flips++;
    return flips <= FLIPS_MAX;
}

static struct heap_header *header_at(struct chunk *chunk, uint32_t offset)
{
    return (struct heap_header *)((uint8_t *)chunk + offset);
}

static bool is_block_at(struct chunk *chunk, uint32_t offset)
{
    const struct heap_header *header = header_at(chunk, offset);

    return header->seal == heap_seal((uint64_t)header, offset, HEAP_SEAL_USED) ||
           header->seal == heap_seal((uint64_t)header, offset, HEAP_SEAL_FREE);
}

/* Finds out what size the blocks have, by the chunk's seal or where the first two blocks are. False: it is no chunk, or
 * no pool has it. */
static bool find_size(struct chunk *chunk)
{
    if (!chunk->seal)
        return false;
    if (chunk->seal == seal_of_chunk(chunk))
        return true;
    for (uint16_t pool = 0; pool < POOLS; pool++)
        if (is_block_at(chunk, sizeof *chunk) && is_block_at(chunk, sizeof *chunk + sizes[pool])) {
            chunk->pool = pool;
            chunk->bytes = sizes[pool];
            chunk->seal = seal_of_chunk(chunk);
            return true;
        }
    return false;
}

/* A block of which is not known whether it is free counts as used: somebody may have it. */
static void rebuild_block(struct chunk *chunk, uint32_t offset)
{
    struct heap_header *header = header_at(chunk, offset);
    uint64_t used = heap_seal((uint64_t)header, offset, HEAP_SEAL_USED),
             free = heap_seal((uint64_t)header, offset, HEAP_SEAL_FREE);

    header->offset = (uint16_t)offset;
    if (is_near(header->seal, free)) {
        header->seal = free;
        ((struct free_block *)header)->next = chunk->free;
        chunk->free = (struct free_block *)header;
        return;
    }
    header->seal = used;
    if (header->bytes > chunk->bytes - sizeof *header)
        header->bytes = (uint16_t)(chunk->bytes - sizeof *header);
    chunk->used++;
}

UNCHECKED static void rebuild_chunk(struct mapped_pages *pages)
{
    struct chunk *chunk = page_start(pages);

    if (page_bytes(pages) != CHUNK_BYTES || !find_size(chunk))
        return;
    struct pool *pool = &pools[chunk->pool];
    chunk->pages = pages;
    chunk->free = NULL;
    chunk->used = 0;
    for (uint32_t at = sizeof *chunk; at + chunk->bytes <= CHUNK_BYTES; at += chunk->bytes)
        rebuild_block(chunk, at);
    if (chunk->free)
        chunk_link(pool, chunk);
    if (!chunk->used)
        pool->empty++;
}

static void rebuild_pages(struct mapped_pages *pages, void *context)
{
    struct large *large = page_start(pages);
    uint64_t phys;

    (void)context;
    if (page_translate((uint64_t)large, &phys) || phys != page_phys(pages))
        return;
    if (large->header.seal == heap_seal((uint64_t)&large->header, 0, HEAP_SEAL_USED))
        large->pages = pages;
    else
        rebuild_chunk(pages);
}

void heap_rebuild(void)
{
    if (!are_sizes_right())
        return;
    for (size_t i = 0; i < POOLS; i++)
        pools[i] = (struct pool){};
    page_each(rebuild_pages, NULL);
}

static enum err heap_init(void)
{
    return reclaim_bind(heap_trim);
}
INIT(heap_init);
