/* See volume.h. */
#include "cells/fs/memory_fs/volume.h"
#include "cells/core/arena/arena.h"
#include "cells/core/cpu/cpu.h"
#include "cells/core/page/page.h"
#include "cells/core/panic/panic.h"
#include "cells/fs/memory_fs/check.h"
#include "cells/fs/memory_fs/node.h"
#include "cells/lib/string/string.h"
#include "cells/memory/reclaim/reclaim.h"
#include "cells/task/park/park.h"
#include "cells/task/task/task.h"

#define PATIENCE_NS  200000000ull /* after which a waiter checks whether the task inside still exists */
#define EXTENT_BYTES (EXTENT_BLOCKS * BLOCK_BYTES)
#define SEAL         0x5ea1ed701c0de5ull
#define ADDRESS      ((1ull << 48) - 1)
#define WORD_BITS    64

/* ---- extents ---- */

static uint64_t address_check(uint64_t at)
{
    return ((at ^ at >> 16 ^ at >> 32 ^ 0x5a5a) & 0xffff) << 48;
}

uint8_t *block_try(struct volume *v, unsigned k, uint64_t block)
{
    uint64_t e = block < BLOCKS ? v->copy[k].extent[block / EXTENT_BLOCKS] : 0, at = e & ADDRESS;

    if (!e || (e & ~ADDRESS) != address_check(at))
        return NULL;
    return (uint8_t *)(at | ~ADDRESS) + block % EXTENT_BLOCKS * BLOCK_BYTES;
}

uint8_t *block_at(struct volume *v, unsigned k, uint64_t block)
{
    uint8_t *at = block_try(v, k, block);

    if (!at)
        panic("memory_fs: a block is not there");
    return at;
}

#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wanalyzer-malloc-leak" /* kept by its address */
static enum err extent_map(struct volume *v, unsigned k, size_t extent)
{
    if (block_try(v, k, extent * EXTENT_BLOCKS))
        return ERR_OK;
    OWN(mapped_pages) struct mapped_pages *pages = reclaim_map(EXTENT_BYTES, PAGE_WRITE | PAGE_OPAQUE);
    if (!pages)
        return ERR_NOMEM;
    const uint8_t *other = block_try(v, !k, extent * EXTENT_BLOCKS);
    if (other) /* the address of this one was lost */
        memcpy(page_start(pages), other, EXTENT_BYTES);
    uint64_t at = (uint64_t)page_start(pages) & ADDRESS;
    v->copy[k].extent[extent] = at | address_check(at);
    (void)MOVE(pages); /* last, so that it is freed if the task is ended before */
    if (extent < DATA_BLOCKS / EXTENT_BLOCKS && extent >= v->extents)
        v->extents = extent + 1;
    v->maps = true;
    return ERR_OK;
}
#pragma GCC diagnostic pop

static void extent_unmap(struct volume *v, unsigned k, size_t extent)
{
    uint8_t *at = block_try(v, k, extent * EXTENT_BLOCKS);

    v->copy[k].extent[extent] = 0;
    v->maps = true;
    if (at)
        mapped_pages_put(page_find((uint64_t)at));
}

enum err block_map(struct volume *v, uint64_t block)
{
    enum err e = extent_map(v, 0, block / EXTENT_BLOCKS);

    return e == ERR_OK ? extent_map(v, 1, block / EXTENT_BLOCKS) : e;
}

bool block_is_used(const struct volume *v, uint64_t block)
{
    return v->used[block / WORD_BITS] >> block % WORD_BITS & 1;
}

void block_mark(struct volume *v, uint64_t block, bool used)
{
    uint64_t bit = 1ull << block % WORD_BITS, *word = &v->used[block / WORD_BITS];

    *word = used ? *word | bit : *word & ~bit;
}

static bool is_extent_used(const struct volume *v, size_t extent)
{
    return v->used[extent * EXTENT_BLOCKS / WORD_BITS] >> extent * EXTENT_BLOCKS % WORD_BITS &
           ((1u << EXTENT_BLOCKS) - 1);
}

static void trim(struct volume *v, size_t from, size_t to)
{
    for (size_t i = from; i < to; i++)
        if ((v->copy[0].extent[i] | v->copy[1].extent[i]) && !is_extent_used(v, i)) {
            extent_unmap(v, 0, i);
            extent_unmap(v, 1, i);
        }
}

void extents_trim(struct volume *v)
{
    trim(v, 1, v->extents < DATA_BLOCKS / EXTENT_BLOCKS ? v->extents : DATA_BLOCKS / EXTENT_BLOCKS);
    trim(v, DATA_BLOCKS / EXTENT_BLOCKS + 1, EXTENTS);
    while (v->extents && !v->copy[0].extent[v->extents - 1])
        v->extents--;
}

static uint64_t find_unused(const struct volume *v)
{
    for (size_t i = 0; i < DATA_BLOCKS / WORD_BITS; i++)
        if (~v->used[i])
            return i * WORD_BITS + (uint64_t)__builtin_ctzll(~v->used[i]);
    return 0;
}

enum err block_new(struct volume *v, bool counts, uint64_t *ret_block)
{
    uint64_t block = find_unused(v);

    if (!block || (counts && v->blocks >= MEMORY_FS_QUOTA_BYTES / BLOCK_BYTES))
        return ERR_FULL;
    enum err e = block_map(v, block);
    if (e != ERR_OK)
        return e;
    memset(block_at(v, 0, block), 0, BLOCK_BYTES);
    block_mark(v, block, true);
    v->blocks += counts;
    *ret_block = block;
    return ERR_OK;
}

/* ---- the volume ---- */

static uint64_t seal_of(const struct volume *v)
{
    return (uint64_t)v * 0x9e3779b97f4a7c15 ^ SEAL;
}

static bool is_sealed(const struct volume *v)
{
    return v->seal == seal_of(v) || v->other_seal == seal_of(v);
}

void volume_seal(struct volume *v)
{
    v->seal = v->other_seal = seal_of(v);
}

void volume_mend_seals(struct volume *v)
{
    if (is_sealed(v))
        volume_seal(v);
}

static void volume_free(struct volume *v)
{
    for (size_t i = 0; i < EXTENTS; i++) {
        extent_unmap(v, 0, i);
        extent_unmap(v, 1, i);
    }
    mapped_pages_put(page_find((uint64_t)v));
}

#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wanalyzer-malloc-leak" /* kept by its address */
UNCHECKED struct volume *volume_new(void)
{
    OWN(mapped_pages) struct mapped_pages *pages = reclaim_map(sizeof(struct volume), PAGE_WRITE);

    if (!pages)
        return NULL;
    struct volume *v = page_start(MOVE(pages));
    block_mark(v, 0, true);
    if (block_map(v, 1) != ERR_OK || node_make_root(v) != ERR_OK) {
        volume_free(v);
        return NULL;
    }
    return v;
}
#pragma GCC diagnostic pop

struct volume_search {
    const struct volume *likely;
    struct volume *found;
};

static void find_volume(struct mapped_pages *pages, void *context)
{
    struct volume_search *search = context;
    struct volume *v = page_start(pages);
    uint64_t phys;

    if (search->found && search->found == search->likely)
        return;
    if (page_bytes(pages) >= sizeof *v && !page_translate((uint64_t)v, &phys) && phys == page_phys(pages) &&
        is_sealed(v))
        search->found = v;
}

struct volume *volume_find_again(const struct volume *likely)
{
    struct volume_search search = {.likely = likely};
    GUARD(park) parked = park_all();

    page_each(find_volume, &search);
    return search.found;
}

void volume_get(struct volume *v)
{
    GUARD(lock) held = lock_take(&v->lock);

    v->references++;
}

/* Whether nobody has the volume, after the cell or an open handle has given it up. */
static bool is_given_up(struct volume *v, bool by_cell)
{
    GUARD(lock) held = lock_take(&v->lock);

    if (by_cell)
        v->seal = v->other_seal = 0;
    else if (v->references)
        v->references--;
    return !v->references && !is_sealed(v);
}

void volume_put(struct volume *v)
{
    if (is_given_up(v, false))
        volume_free(v);
}

void volume_drop(TAKES struct volume *v)
{
    if (v && is_given_up(v, true))
        volume_free(v);
}

/* ---- one task inside ---- */

static bool has_task_ended(uint32_t task_id)
{
    for_each_task (i) {
        const struct arena_task *task = arena_task(i);
        if (task->id == task_id && task->state != TASK_FREE && task->state != TASK_EXITED)
            return false;
    }
    return true;
}

static void take(struct volume *v)
{
    uint32_t me = task_this()->id;
    GUARD(lock) held = lock_take(&v->lock);

    while (v->busy && v->busy != me)
        if (wait_queue_wait(&v->free, &held, PATIENCE_NS) == WAKE_TIMEOUT && has_task_ended(v->busy))
            break;
    v->busy = me;
}

UNCHECKED bool volume_close(struct volume *v, uint64_t slot)
{
    take(v);
    GUARD(volume) inside = {v};
    const struct record *r = record_at(v, 1, slot);
    if (v->open[slot])
        v->open[slot]--;
    return v->open[slot] || r->kind != KIND_REMOVED;
}

UNCHECKED struct volume_guard volume_enter(struct volume *v)
{
    take(v);
    GUARD(volume) inside = {v}; /* what follows may fail */
    if (v->stage != STAGE_CLEAN || v->seen != check_newest_fault())
        volume_repair(v);
    return (struct volume_guard){__atomic_exchange_n(&inside.volume, NULL, __ATOMIC_RELAXED)};
}

void volume_guard_end(struct volume_guard *guard)
{
    if (!guard->volume)
        return;
    GUARD(lock) held = lock_take(&guard->volume->lock);

    guard->volume->busy = 0;
    wait_queue_wake_one(&guard->volume->free);
}
