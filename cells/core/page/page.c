/* See page.h. A handle keeps its virtual range for ever and is used again for mappings of the same size class, so that
 * neither virtual space nor page tables grow without bound. Page tables and handles are never freed. Invariant: a
 * handle is live, with its range mapped, or in the free list of its region and class. */
#include "cells/core/page/page.h"
#include "cells/core/arena/arena.h"
#include "cells/core/boot/boot.h"
#include "cells/core/cpu/cpu.h"
#include "cells/core/frame/frame.h"
#include "cells/core/lock/lock.h"
#include "cells/core/panic/panic.h"
#include "cells/lib/hash_table/hash_table.h"
#include "cells/lib/string/string.h"
#include "guest/abi/layout.h"
#include "guest/abi/paging.h"

CELL("page", KERNEL, 1);
CORE();
EXPORT(page_init, KERNEL);
EXPORT(mapped_pages_put, LIBRARY);
EXPORT(page_map, LIBRARY);
EXPORT(page_own_frames, LIBRARY);
EXPORT(page_virtual_bytes, LIBRARY);
EXPORT(page_map_device, LIBRARY);
EXPORT(page_protect, KERNEL);
EXPORT(page_start, LIBRARY);
EXPORT(page_phys, LIBRARY);
EXPORT(page_bytes, LIBRARY);
EXPORT(page_find, KERNEL);
EXPORT(page_each, KERNEL);
EXPORT(page_direct, KERNEL);
EXPORT(page_translate, KERNEL);
EXPORT(page_root, KERNEL);
EXPORT(page_flush, KERNEL);
EXPORT(page_shootdown, KERNEL);

#define LARGE_BYTES  ((uint64_t)PAGING_LARGE_BYTES)
#define DIRECT_LIMIT 0x1000000000ull /* 64 GiB */
#define FLUSH_SINGLY 32              /* pages; for more the whole TLB is flushed */
#define CLASSES      32              /* size class c: virtual ranges of 2^c pages, guard included */
#define BUCKETS      1024

enum region { REGION_PAGES, REGION_CELL, REGION_IMAGE, REGIONS }; /* the image's ranges are not used again */

struct mapped_pages {
    uint64_t virt, phys;
    size_t bytes;
    struct mapped_pages *next_free;
    struct mapped_pages *next_in_bucket;
    uint32_t flags;
    uint8_t class, region;
    bool live, owns_frames;
};

static struct lock page_lock;
static struct {
    uint64_t next, end;
    struct mapped_pages *free[CLASSES];
} regions[REGIONS] GUARDED_BY(page_lock) = {
    [REGION_PAGES] = {.next = LAYOUT_PAGES_VIRT, .end = LAYOUT_PAGES_END},
    [REGION_CELL] = {.next = LAYOUT_CELL_VIRT, .end = LAYOUT_CELL_END},
};

static uint64_t root; /* physical address of the top table */
SET_ONCE(root);
static struct mapped_pages *pool GUARDED_BY(page_lock);
static size_t pool_left GUARDED_BY(page_lock);
/* Every handle ever made, by the start of its range. Chained: their number has no limit, so no array of slots can hold
 * all of them. */
static struct mapped_pages *buckets[BUCKETS] GUARDED_BY(page_lock);

void (*page_shootdown)(uint64_t virt, size_t bytes);

/* ---- tables ---- */

void *page_direct(uint64_t phys)
{
    return (void *)(LAYOUT_DIRECT_VIRT + phys);
}

uint64_t page_root(void)
{
    return root;
}

static size_t own_frames;

/* Allocates a frame for a page table or for handles. It is never freed. */
static enum err take_own_frame(uint64_t *ret_phys)
{
    enum err e = frame_alloc(1, ret_phys);

    if (e == ERR_OK)
        __atomic_add_fetch(&own_frames, 1, __ATOMIC_RELAXED);
    return e;
}

static enum err take_table(uint64_t *ret_phys)
{
    enum err e = take_own_frame(ret_phys);

    if (e == ERR_OK)
        memset(page_direct(*ret_phys), 0, FRAME_BYTES);
    return e;
}

size_t page_own_frames(void)
{
    return __atomic_load_n(&own_frames, __ATOMIC_RELAXED);
}

size_t page_virtual_bytes(void)
{
    GUARD(lock) held = lock_take(&page_lock);

    return regions[REGION_PAGES].next - LAYOUT_PAGES_VIRT + regions[REGION_CELL].next - LAYOUT_CELL_VIRT;
}

/* The entry for `virt` in the table of `level` (0: 4 KiB pages, 1: 2 MiB); NULL when a table is missing and may not be
 * made, or memory is out. */
static uint64_t *entry_of(uint64_t virt, int level, bool make)
{
    uint64_t *table = page_direct(root);

    for (int at = PAGING_TOP;; at--) {
        uint64_t *entry = &table[PAGING_INDEX(virt, at)];
        if (at == level)
            return entry;
        if (*entry & PAGING_PRESENT && *entry & PAGING_LARGE)
            return NULL;
        if (!(*entry & PAGING_PRESENT)) {
            uint64_t phys;
            if (!make || take_table(&phys) != ERR_OK)
                return NULL;
            *entry = phys | PAGING_TABLE;
        }
        table = page_direct(*entry & PAGING_ADDRESS);
    }
}

static uint64_t pte_bits(unsigned flags)
{
    if (flags & PAGE_WRITE && flags & PAGE_EXECUTE)
        panic("pages both writable and executable");
    return PAGING_PRESENT | (flags & PAGE_WRITE ? PAGING_WRITE : 0) | (flags & PAGE_EXECUTE ? 0 : PAGING_NO_EXECUTE) |
           (flags & PAGE_UNCACHED ? PAGING_UNCACHED : 0) | (flags & PAGE_OPAQUE ? PAGING_OPAQUE : 0);
}

/* Makes the tables that [virt, virt + bytes) needs. */
static enum err make_tables(uint64_t virt, size_t bytes) NEEDS(page_lock)
{
    for (uint64_t i = virt / LARGE_BYTES; i <= (virt + bytes - 1) / LARGE_BYTES; i++)
        if (!entry_of(i * LARGE_BYTES, 0, true))
            return ERR_NOMEM;
    return ERR_OK;
}

/* Writes the entries of [virt, virt + bytes), whose tables exist: `value`, then `step` more for each page. */
static void set_entries(uint64_t virt, size_t bytes, uint64_t value, uint64_t step) NEEDS(page_lock)
{
    uint64_t *entry = NULL;

    for (size_t done = 0; done < bytes; done += FRAME_BYTES, value += step) {
        uint64_t at = virt + done;
        entry = entry && at % LARGE_BYTES ? entry + 1 : entry_of(at, 0, false);
        assert(entry);
        *entry = value;
    }
}

static enum err map_range(uint64_t virt, uint64_t phys, size_t bytes, unsigned flags) NEEDS(page_lock)
{
    uint64_t bits = pte_bits(flags);
    enum err e = make_tables(virt, bytes);

    if (e == ERR_OK)
        set_entries(virt, bytes, phys | bits, FRAME_BYTES);
    return e;
}

static void unmap_range(uint64_t virt, size_t bytes) NEEDS(page_lock)
{
    set_entries(virt, bytes, 0, 0);
}

enum err page_translate(uint64_t virt, uint64_t *ret_phys)
{
    for (int level = 0; level < 2; level++) {
        const uint64_t *entry = entry_of(virt, level, false);
        if (!entry || !(*entry & PAGING_PRESENT) || (level && !(*entry & PAGING_LARGE)))
            continue;
        uint64_t size = 1ull << PAGING_SHIFT(level);
        *ret_phys = (*entry & PAGING_ADDRESS & -size) | (virt & (size - 1));
        return ERR_OK;
    }
    return ERR_RANGE;
}

void page_flush(uint64_t virt, size_t bytes)
{
    if (bytes > FLUSH_SINGLY * FRAME_BYTES) {
        uint64_t cr3;
        __asm__ volatile("mov %%cr3, %0; mov %0, %%cr3" : "=r"(cr3)::"memory");
        return;
    }
    for (size_t at = 0; at < bytes; at += FRAME_BYTES)
        __asm__ volatile("invlpg (%0)" ::"r"(virt + at) : "memory");
}

/* Flushes on this CPU, then on the others. Interrupts are off meanwhile: if the task moved to another CPU in between,
 * one of the two CPUs would keep a stale entry. */
static void flush_everywhere(uint64_t virt, size_t bytes)
{
    GUARD(interrupts) off = interrupts_off();

    page_flush(virt, bytes);
    if (page_shootdown)
        page_shootdown(virt, bytes);
}

/* ---- handles ---- */

static struct mapped_pages **bucket_of(uint64_t virt) NEEDS(page_lock)
{
    return &buckets[hash_number((uint32_t)(virt / FRAME_BYTES)) / (UINT32_MAX / BUCKETS + 1)];
}

static struct mapped_pages *new_handle(void) NEEDS(page_lock)
{
    if (!pool_left) {
        uint64_t phys;
        if (take_own_frame(&phys) != ERR_OK)
            return NULL;
        pool = page_direct(phys);
        pool_left = FRAME_BYTES / sizeof *pool;
    }
    pool_left--;
    struct mapped_pages *mp = pool++;
    memset(mp, 0, sizeof *mp);
    return mp;
}

static uint8_t class_of(size_t pages_with_guard)
{
    uint8_t class = 1;

    while (class < CLASSES && 1ul << class < pages_with_guard)
        class ++;
    return class;
}

static void add_handle(struct mapped_pages *mp, enum region region, uint64_t virt, uint8_t class) NEEDS(page_lock)
{
    mp->virt = virt;
    mp->class = class;
    mp->region = (uint8_t)region;
    mp->next_in_bucket = *bucket_of(virt);
    *bucket_of(virt) = mp;
}

/* A handle with a virtual range for `bytes` and a guard page, from the free list of its class or from new space. */
static struct mapped_pages *take_handle(enum region region, size_t bytes) NEEDS(page_lock)
{
    uint8_t class = class_of(bytes / FRAME_BYTES + 1);

    if (class >= CLASSES)
        return NULL;
    struct mapped_pages *mp = regions[region].free[class];
    if (mp) {
        regions[region].free[class] = mp->next_free;
        return mp;
    }
    size_t range = FRAME_BYTES << class;
    if (range > regions[region].end - regions[region].next)
        return NULL;
    mp = new_handle();
    if (!mp)
        return NULL;
    add_handle(mp, region, regions[region].next, class);
    regions[region].next += range;
    return mp;
}

static void give_handle(struct mapped_pages *mp) NEEDS(page_lock)
{
    mp->next_free = regions[mp->region].free[mp->class];
    regions[mp->region].free[mp->class] = mp;
}

static enum err map_handle(struct mapped_pages *mp, uint64_t phys, size_t bytes, unsigned flags, bool owns_frames)
    NEEDS(page_lock)
{
    enum err e = map_range(mp->virt, phys, bytes, flags);

    if (e != ERR_OK)
        return e;
    mp->phys = phys;
    mp->bytes = bytes;
    mp->flags = flags;
    mp->owns_frames = owns_frames;
    mp->live = true;
    return ERR_OK;
}

static struct mapped_pages *map_frames(uint64_t phys, size_t bytes, unsigned flags, bool owns_frames)
{
    GUARD(lock) held = lock_take(&page_lock);
    struct mapped_pages *mp = take_handle(flags & PAGE_CELL ? REGION_CELL : REGION_PAGES, bytes);

    if (!mp)
        return NULL;
    if (map_handle(mp, phys, bytes, flags, owns_frames) != ERR_OK) {
        give_handle(mp);
        return NULL;
    }
    return mp;
}

/* Frames that no mapping owns yet. They are freed at the end of the scope, also after a fault. */
struct frames_guard {
    uint64_t phys;
    size_t count;
};

static void frames_guard_end(struct frames_guard *frames)
{
    if (frames->count)
        frame_free(frames->phys, frames->count);
}

struct mapped_pages *page_map(size_t bytes, unsigned flags)
{
    size_t count = (bytes + FRAME_BYTES - 1) / FRAME_BYTES;
    GUARD(frames) taken = {0};

    if (!bytes || bytes > DIRECT_LIMIT || frame_alloc(count, &taken.phys) != ERR_OK)
        return NULL;
    taken.count = count;
    memset(page_direct(taken.phys), 0, count * FRAME_BYTES);
    struct mapped_pages *mp = map_frames(taken.phys, count * FRAME_BYTES, flags, true);
    if (mp)
        taken.count = 0;
    return mp;
}

struct mapped_pages *page_map_device(uint64_t phys, size_t bytes, unsigned flags)
{
    size_t offset = phys % FRAME_BYTES;

    if (!bytes || bytes > DIRECT_LIMIT)
        return NULL;
    return map_frames(phys - offset, (bytes + offset + FRAME_BYTES - 1) & -FRAME_BYTES, flags, false);
}

void mapped_pages_put(struct mapped_pages *mp)
{
    if (!mp)
        return;
    {
        GUARD(lock) held = lock_take(&page_lock);
        assert(mp->live);
        mp->live = false;
        unmap_range(mp->virt, mp->bytes);
    }
    flush_everywhere(mp->virt, mp->bytes);
    if (mp->owns_frames)
        frame_free(mp->phys, mp->bytes / FRAME_BYTES);
    GUARD(lock) held = lock_take(&page_lock);
    give_handle(mp);
}

void page_protect(struct mapped_pages *mp, unsigned flags)
{
    {
        GUARD(lock) held = lock_take(&page_lock);
        assert(mp->live);
        set_entries(mp->virt, mp->bytes, mp->phys | PAGING_DIRTY | pte_bits(flags), FRAME_BYTES); /* it may be */
        mp->flags = flags;
    }
    flush_everywhere(mp->virt, mp->bytes);
}

void *page_start(const struct mapped_pages *mp)
{
    return (void *)mp->virt;
}

uint64_t page_phys(const struct mapped_pages *mp)
{
    return mp->phys;
}

size_t page_bytes(const struct mapped_pages *mp)
{
    return mp->bytes;
}

struct mapped_pages *page_find(uint64_t virt)
{
    GUARD(lock) held = lock_take(&page_lock);

    for (struct mapped_pages *mp = *bucket_of(virt); mp; mp = mp->next_in_bucket)
        if (mp->virt == virt)
            return mp->live ? mp : NULL;
    return NULL;
}

/* After a fault a chain may be a circle: no more steps than there can be handles. */
UNCHECKED void page_each(void (*visit)(struct mapped_pages *mp, void *context), void *context)
{
    size_t left = own_frames * (FRAME_BYTES / sizeof *pool);

    for (size_t i = 0; i < BUCKETS; i++)
        for (struct mapped_pages *mp = buckets[i]; mp && left; mp = mp->next_in_bucket, left--)
            if (mp->live && mp->owns_frames && mp->flags & PAGE_WRITE)
                visit(mp, context);
}

/* ---- boot ---- */

static enum err map_direct(uint64_t start, uint64_t end)
{
    for (uint64_t phys = start & -LARGE_BYTES; phys < end && phys < DIRECT_LIMIT; phys += LARGE_BYTES) {
        uint64_t *entry = entry_of(LAYOUT_DIRECT_VIRT + phys, 1, true);
        if (!entry)
            return ERR_NOMEM;
        *entry = phys | PAGING_PRESENT | PAGING_WRITE | PAGING_LARGE | PAGING_NO_EXECUTE;
    }
    return ERR_OK;
}

/* Maps a part of the image with a handle that owns its frames, so that mapped_pages_put frees them. */
UNCHECKED static enum err map_image(const struct page_part *part)
{
    uint64_t virt = (uint64_t)part->start, last = ((uint64_t)part->end + FRAME_BYTES - 1) & -FRAME_BYTES;
    struct mapped_pages *mp = new_handle();

    if (!mp)
        return ERR_NOMEM;
    add_handle(mp, REGION_IMAGE, virt, class_of((last - virt) / FRAME_BYTES));
    return map_handle(mp, virt - LAYOUT_IMAGE_VIRT, last - virt, part->flags, true);
}

/* One for all CPUs: it would take two whose TSS is damaged at the same time. */
UNCHECKED static enum err map_last_stack(void)
{
    uint64_t phys = 0;
    enum err e = frame_alloc(-LAYOUT_LAST_STACK_VIRT / FRAME_BYTES, &phys);

    return e == ERR_OK ? map_range(LAYOUT_LAST_STACK_VIRT, phys, -LAYOUT_LAST_STACK_VIRT, PAGE_WRITE) : e;
}

UNCHECKED enum err page_init(const struct page_part *image, size_t parts)
{
    const struct boot_info *boot = boot_get();
    enum err e = take_table(&root);

    if (e == ERR_OK)
        e = map_direct(0, LARGE_BYTES);
    for (unsigned i = 0; i < boot->ranges && e == ERR_OK; i++)
        e = map_direct(boot->range[i].phys, boot->range[i].phys + boot->range[i].bytes);
    for (size_t i = 0; i < parts && e == ERR_OK; i++)
        e = map_image(&image[i]);
    if (e == ERR_OK)
        e = map_range(LAYOUT_IMAGE_VIRT + LAYOUT_ARENA_PHYS, LAYOUT_ARENA_PHYS, ARENA_HEADER_ROOM, PAGE_WRITE);
    if (e == ERR_OK)
        e = map_last_stack();
    if (e == ERR_OK)
        __asm__ volatile("mov %0, %%cr3" ::"r"(root) : "memory");
    return e;
}
