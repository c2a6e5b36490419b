/* Page tables. An entry that maps a page of a cell follows from the cell's record. The tables above are copied when
 * they are first seen, and grow only: an entry that is there stays as it is (cells/core/page). Invariant: a copy is
 * believed only while it has its check word. */
#include "cells/core/arena/arena.h"
#include "cells/core/boot/boot.h"
#include "cells/core/frame/frame.h"
#include "cells/core/loader/loader.h"
#include "cells/core/page/page.h"
#include "cells/lib/format/format.h"
#include "cells/lib/string/string.h"
#include "cells/recover/scrub/inside.h"
#include "cells/task/park/park.h"
#include "guest/abi/layout.h"
#include "guest/abi/paging.h"

#define COPIES_BASE  16 /* upper tables of a small machine; one more for each GiB */
#define COPIES_MORE  64 /* at most; others are not compared */
#define RAM_MOST     ((uint64_t)COPIES_MORE << PAGING_SHIFT(2))
#define ACCESSED     0x60 /* bits that the CPU sets: accessed, dirty */
#define STEP_ENTRIES PAGING_ENTRIES

static struct copy {
    uint64_t phys;   /* of the table */
    int level;       /* of its entries */
    uint32_t check;  /* arena_check() of the copied entries */
    uint64_t *entry; /* as they must be, without ACCESSED */
} * copies;
static uint32_t copied, copies_max;
static uint64_t ram_end;
SET_ONCE(ram_end);
SET_ONCE(copies_max);
static uint32_t copy_at, cell_at;

static void add_copy(uint64_t phys, int level)
{
    if (copied == copies_max)
        return;
    struct copy *c = &copies[copied];
    c->phys = phys;
    c->level = level;
    memset(c->entry, 0, FRAME_BYTES);
    c->check = arena_check(c->entry, FRAME_BYTES);
    __atomic_store_n(&copied, copied + 1, __ATOMIC_RELEASE);
}

#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wanalyzer-malloc-leak" /* kept for ever */
enum err tables_init(void)
{
    const struct boot_info *boot = boot_get();

    for (uint32_t i = 0; i < boot->ranges; i++)
        if (boot->range[i].phys + boot->range[i].bytes > ram_end)
            ram_end = boot->range[i].phys + boot->range[i].bytes;
    copies_max = COPIES_BASE + (ram_end < RAM_MOST ? (uint32_t)(ram_end >> PAGING_SHIFT(2)) : COPIES_MORE);
    OWN(mapped_pages)
    struct mapped_pages *pages = page_map((FRAME_BYTES + sizeof *copies) * copies_max, PAGE_WRITE | PAGE_OPAQUE);
    if (!pages)
        return ERR_NOMEM;
    uint8_t *start = page_start(MOVE(pages));
    copies = (struct copy *)(start + FRAME_BYTES * copies_max);
    for (uint32_t i = 0; i < copies_max; i++)
        copies[i].entry = (uint64_t *)(start + FRAME_BYTES * i);
    add_copy(page_root(), PAGING_TOP);
    return ERR_OK;
}
#pragma GCC diagnostic pop

/* As page_direct, which is in another cell: this is done for every entry. */
static inline uint64_t *table_at(uint64_t phys)
{
    return (uint64_t *)(LAYOUT_DIRECT_VIRT + phys);
}

/* ---- upper tables ---- */

/* Whether an entry that was not there before may be: it refers to a table in RAM, or maps 2 MiB of the direct map. */
static bool is_plausible(const struct copy *c, uint64_t entry)
{
    uint64_t bits = entry & ~(uint64_t)PAGING_ADDRESS, phys = entry & PAGING_ADDRESS;

    if (bits == PAGING_TABLE)
        return phys && phys < ram_end;
    return c->level == 1 && bits == (PAGING_PRESENT | PAGING_WRITE | PAGING_LARGE | PAGING_NO_EXECUTE);
}

static uint64_t *live_table(const struct copy *c)
{
    return table_at(c->phys);
}

static void put_back(struct copy *c, unsigned i)
{
    GUARD(park) parked = park_all();

    __atomic_store_n(&live_table(c)[i], c->entry[i], __ATOMIC_RELEASE);
    page_flush(0, SIZE_MAX);
}

static void report_upper(const struct copy *c, unsigned i)
{
    char place[48];

    format_print(place, sizeof place, "page table of level %d, entry %u", c->level, i);
    scrub_report((struct fault_damage){.address = (uint64_t)&live_table(c)[i], .place = place}, 1, "entry");
}

/* An entry that is not as it was: a new one, or damage. */
static void look_at(struct copy *c, unsigned i, uint64_t entry)
{
    if (!c->entry[i] && is_plausible(c, entry)) {
        c->entry[i] = entry;
        c->check = arena_check(c->entry, FRAME_BYTES);
        if (!(entry & PAGING_LARGE) && c->level > 1)
            add_copy(entry & PAGING_ADDRESS, c->level - 1);
        return;
    }
    put_back(c, i);
    report_upper(c, i);
}

/* A copy that is damaged itself is made again: its table is right, unless both were hit. */
static void check_copy(struct copy *c)
{
    if (c->check == arena_check(c->entry, FRAME_BYTES))
        return;
    for (unsigned i = 0; i < PAGING_ENTRIES; i++)
        c->entry[i] = live_table(c)[i] & ~(uint64_t)ACCESSED;
    c->check = arena_check(c->entry, FRAME_BYTES);
}

static uint32_t compare_upper(struct copy *c)
{
    const uint64_t *live = live_table(c);

    for (unsigned i = 0; i < PAGING_ENTRIES; i++) {
        uint64_t entry = __atomic_load_n(&live[i], __ATOMIC_RELAXED) & ~(uint64_t)ACCESSED;
        if (entry == c->entry[i])
            continue;
        check_copy(c);
        if (entry != c->entry[i])
            look_at(c, i, entry);
    }
    return STEP_ENTRIES * 4;
}

/* ---- pages of cells ---- */

/* The entry of level 0 for `virt`, in the direct map; NULL: a table is missing. */
static uint64_t *entry_of(uint64_t virt)
{
    uint64_t phys = page_root();

    for (int level = PAGING_TOP;; level--) {
        uint64_t *entry = table_at(phys) + PAGING_INDEX(virt, level);
        if (level == 0)
            return entry;
        if (!(*entry & PAGING_PRESENT) || *entry & PAGING_LARGE || (*entry & PAGING_ADDRESS) >= ram_end)
            return NULL;
        phys = *entry & PAGING_ADDRESS;
    }
}

struct region {
    uint64_t virt, phys, bits;
    uint32_t bytes;
};

/* Puts right what differs, or only counts it. Returns how many entries; *ret_first: the address that the first maps. */
static uint32_t compare_region(const struct region *r, bool write, uint64_t *ret_first)
{
    uint64_t *entry = NULL;
    uint32_t count = 0;

    for (uint64_t at = 0; at < r->bytes; at += FRAME_BYTES) {
        uint64_t right = (r->phys + at) | r->bits;
        entry = entry && PAGING_INDEX(r->virt + at, 0) ? entry + 1 : entry_of(r->virt + at);
        if (!entry || (*entry & ~(uint64_t)ACCESSED) == right)
            continue;
        if (write) {
            __atomic_store_n(entry, right, __ATOMIC_RELEASE);
            page_flush(r->virt + at, FRAME_BYTES);
        }
        if (count++ == 0)
            *ret_first = r->virt + at;
    }
    return count;
}

#define REGIONS 3

/* Returns how many; 0: the cell has none of its own now. */
static unsigned regions_of(struct cell_ref cell, struct region ret_regions[REGIONS])
{
    const struct arena_cell *c = arena_cell(cell);

    if ((c->state != CELL_LIVE && c->state != CELL_OLD) || arena_in_image(c) || !arena_sound(cell))
        return 0;
    ret_regions[0] = (struct region){c->text_virt, c->text_phys, PAGING_PRESENT, c->text_bytes};
    ret_regions[1] =
        (struct region){c->rodata_virt, c->rodata_phys, PAGING_PRESENT | PAGING_NO_EXECUTE, c->rodata_bytes};
    ret_regions[2] =
        (struct region){c->data_virt, c->data_phys, PAGING_PRESENT | PAGING_WRITE | PAGING_NO_EXECUTE, c->data_bytes};
    return REGIONS;
}

/* *ret_first: the address whose page was damaged first. Returns how many entries differ. */
static uint32_t compare_cell(struct cell_ref cell, bool write, uint64_t *ret_first)
{
    struct region regions[REGIONS];
    uint32_t count = 0;

    for (unsigned i = regions_of(cell, regions); i-- > 0;)
        count += compare_region(&regions[i], write, ret_first);
    return count;
}

static uint32_t repair_cell(struct cell_ref cell, uint64_t *ret_first)
{
    GUARD(loader) locked = loader_hold(); /* nobody maps or unmaps cells meanwhile */
    GUARD(park) parked = park_all();

    return compare_cell(cell, true, ret_first);
}

static uint32_t scrub_pages_of(struct cell_ref cell)
{
    uint64_t first = 0;
    uint32_t count = compare_cell(cell, false, &first);

    if (count && (count = repair_cell(cell, &first)))
        scrub_report((struct fault_damage){.cell = cell, .address = first, .place = "page table"}, count, "entries");
    return 256;
}

/* The upper tables first, then the cells one by one. */
uint32_t scrub_tables(void)
{
    if (copy_at < copied)
        return compare_upper(&copies[copy_at++]);
    if (++cell_at < arena_header()->table[ARENA_CELLS].used)
        return scrub_pages_of((struct cell_ref){cell_at});
    copy_at = cell_at = 0;
    return 0;
}
