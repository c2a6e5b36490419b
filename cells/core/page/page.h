/* Mapped pages: virtual pages bound one-to-one to physical frames, with one owner (thesis §6.3.1, M.1 to M.4).
 * Invariant: a mapping is contiguous in physical memory too, so that the host finds any byte of it without page tables;
 * no page is writable and executable; frames are freed only when no CPU has a TLB entry for them.
 * page_protect and mapped_pages_put wait until all CPUs have flushed their TLBs. */
#pragma once
#include "cells/cell.h"

enum page_flags {
    PAGE_READ = 0,
    PAGE_WRITE = 1,
    PAGE_EXECUTE = 2,  /* never together with PAGE_WRITE */
    PAGE_UNCACHED = 4, /* device memory */
    PAGE_CELL = 8,     /* at addresses that 32-bit relocations of cells reach */
    PAGE_OPAQUE = 16,  /* holds no address in a cell: a swap does not search it */
};

struct mapped_pages; /* opaque */

struct page_part {
    const uint8_t *start, *end; /* start: on a page boundary */
    unsigned flags;
};
/* Makes the final page tables and uses them: parts of the image with their protection, the header of the arena, all
 * memory of the boot information in the direct map, nothing at low addresses. Once, on the boot processor. ERR_NOMEM:
 * boot cannot continue. */
enum err page_init(const struct page_part *image, size_t parts);
/* Physical address of the top page table, which all CPUs share. */
uint64_t page_root(void);

/* Unmaps the pages, flushes all TLBs and frees the frames. Accepts NULL. */
void mapped_pages_put(TAKES struct mapped_pages *mp);
OWNABLE(mapped_pages)

/* Maps at least `bytes` bytes of zeroed memory, with a guard page behind it. NULL: memory is out. */
RELEASED_BY(mapped_pages_put) struct mapped_pages *page_map(size_t bytes, unsigned flags);

/* Maps physical memory that is not RAM of ours (devices, frame buffers). mapped_pages_put does not free its frames.
 * NULL: memory is out. */
RELEASED_BY(mapped_pages_put) struct mapped_pages *page_map_device(uint64_t phys, size_t bytes, unsigned flags);

/* Changes the protection of all pages of the mapping, on every CPU. */
void page_protect(struct mapped_pages *mp, unsigned flags);

/* The first byte, virtual and physical; the length in bytes, a multiple of the frame size. */
void *page_start(const struct mapped_pages *mp);
uint64_t page_phys(const struct mapped_pages *mp);
size_t page_bytes(const struct mapped_pages *mp);

/* The mapping that starts at `virt`, for owners that keep only its address in the arena. Borrowed. NULL: none. */
struct mapped_pages *page_find(uint64_t virt);

/* Calls `visit` for each mapping of RAM of ours that may be written. Call with the other CPUs parked: it takes no lock.
 * `visit` must not map or unmap. */
void page_each(void (*visit)(struct mapped_pages *mp, void *context), void *context);

/* The alias of physical memory in the direct map: always writable, never executable. */
void *page_direct(uint64_t phys);

/* The physical address that any virtual address is mapped to. ERR_RANGE: it is not mapped; ret_phys is untouched. */
enum err page_translate(uint64_t virt, uint64_t *ret_phys);

/* The number of frames in page tables and handles. They are never freed: frame_free_count() plus this is constant
 * unless somebody else keeps a frame. */
size_t page_own_frames(void);
/* The size of all virtual ranges that were ever used; each is used again for mappings of its size class. */
size_t page_virtual_bytes(void);

/* Flushes [virt, virt + bytes) from the TLB of this CPU. */
void page_flush(uint64_t virt, size_t bytes);

/* The function that flushes [virt, virt + bytes) from the TLBs of all other CPUs; called after the local flush.
 * Frames are freed only after it has returned. NULL while there is one CPU; set through edge_bind. */
extern void (*page_shootdown)(uint64_t virt, size_t bytes);
