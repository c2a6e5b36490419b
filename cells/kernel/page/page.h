/* Mapped pages: virtual pages bound one-to-one to physical frames, owned by one holder (thesis §6.3.1, M.1 to M.4).
 * A mapping is physically contiguous too, so that the host finds any byte of it without page tables. */
#pragma once
#include "cells/cell.h"

enum page_flags {
    PAGE_READ = 0,
    PAGE_WRITE = 1,
    PAGE_EXECUTE = 2,  /* never together with PAGE_WRITE */
    PAGE_UNCACHED = 4, /* device memory */
    PAGE_CELL = 8,     /* in the region that cell text can reach with 32-bit relocations */
};

struct mapped_pages; /* opaque */

/* The final page tables: image parts by their protection, arena, all memory of the boot information in the direct map,
 * nothing at low addresses. Once, on the boot processor. */
struct page_part {
    const uint8_t *start, *end; /* start: of a page */
    unsigned flags;
};
enum err page_init(const struct page_part *image, size_t parts);
uint64_t page_root(void); /* physical address of the top table, the same on every CPU */

void mapped_pages_put(TAKES struct mapped_pages *mp); /* unmaps, shoots down, frees the frames; accepts NULL */
OWNABLE(mapped_pages)

/* At least `bytes` bytes of zeroed memory, a guard page behind it. NULL when memory is out. */
RELEASED_BY(mapped_pages_put) struct mapped_pages *page_map(size_t bytes, unsigned flags);

/* Maps physical memory that is not RAM of ours (devices, frame buffers); its frames are not freed at the end. */
RELEASED_BY(mapped_pages_put) struct mapped_pages *page_map_device(uint64_t phys, size_t bytes, unsigned flags);

/* Changes the protection of all of it, on every CPU. */
void page_protect(struct mapped_pages *mp, unsigned flags);

void *page_start(const struct mapped_pages *mp);
uint64_t page_phys(const struct mapped_pages *mp);
size_t page_bytes(const struct mapped_pages *mp);

/* The mapping that starts at `virt`, or NULL: for owners that keep only the address in the arena. Borrowed. */
struct mapped_pages *page_find(uint64_t virt);

/* The always-writable, never-executable alias of physical memory. */
void *page_direct(uint64_t phys);

/* Physical address behind any mapped virtual address; ERR_RANGE when nothing is mapped there. */
enum err page_translate(uint64_t virt, uint64_t *ret_phys);

/* Frames of page tables and of handles. They are kept for the next mapping and never given back, so that only
 * frame_free_count() plus this tells whether somebody else keeps a frame. */
size_t page_own_frames(void);
/* Of all virtual ranges that have been used so far; each is kept for the next mapping of its size class. */
size_t page_virtual_bytes(void);

/* Flushes what this CPU remembers of [virt, virt + bytes). */
void page_flush(uint64_t virt, size_t bytes);

/* The function that flushes [virt, virt + bytes) from the TLBs of all other CPUs; called after the local flush.
 * Frames are freed only after it has returned. NULL while there is one CPU; set through loader_bind. */
extern void (*page_shootdown)(uint64_t virt, size_t bytes);
