/* Page tables of x86-64 (AMD64 manual, volume 2, chapter 5): bits of an entry, shape of the tables, and what turns them
 * on. Plain numbers, also for assembly. Level 0 maps pages of 4 KiB, level 1 can map 2 MiB; CR3 refers to the top
 * table. */
#pragma once

#define PAGING_PRESENT    0x1
#define PAGING_WRITE      0x2
#define PAGING_USER       0x4
#define PAGING_UNCACHED   0x18  /* PCD, PWT */
#define PAGING_DIRTY      0x40  /* set by the CPU when something is written by this entry */
#define PAGING_OPAQUE     0x200 /* of no meaning to the CPU: PAGE_OPAQUE */
#define PAGING_LARGE      0x80  /* above level 0: maps memory and does not refer to a table */
#define PAGING_NO_EXECUTE 0x8000000000000000
#define PAGING_ADDRESS    0x000ffffffffff000

#define PAGING_TABLE (PAGING_PRESENT + PAGING_WRITE) /* an entry that refers to a table: that one's entries decide */

#define PAGING_TOP                3
#define PAGING_ENTRIES            512
#define PAGING_SHIFT(level)       (12 + 9 * (level)) /* an entry of this level maps 1 << that bytes */
#define PAGING_INDEX(virt, level) ((virt) >> PAGING_SHIFT(level) & (PAGING_ENTRIES - 1))
#define PAGING_LARGE_BYTES        0x200000

/* 64-bit mode on these tables. */
#define PAGING_CR4       0x20       /* PAE */
#define PAGING_CR0       0x80010031 /* PG WP NE ET PE */
#define PAGING_EFER      0xc0000080 /* the model-specific register */
#define PAGING_EFER_BITS 0x900      /* LME NXE */
