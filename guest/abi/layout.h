/* Where things are in guest memory: addresses that the linker script, the nano_core and the host agree on.
 * Virtual addresses follow from -mcmodel=kernel: all text within the top 2 GiB. */
#pragma once
#include "guest/abi/capacity.h"

#define LAYOUT_IMAGE_PHYS 0x200000 /* the nano_core image, linked at LAYOUT_IMAGE_VIRT + this */
#define LAYOUT_ARENA_PHYS 0x240000 /* the metadata arena, part of the image's memory (not of its file) */
/* Its fault log is in a gap between the program headers: no boot loader clears it or gives it away, so that what it has
 * is still there after a reset. Behind it are the other tables. */
#define LAYOUT_FAULTS_PHYS (LAYOUT_ARENA_PHYS + 0x1000)
#define LAYOUT_TABLES_PHYS (LAYOUT_ARENA_PHYS + 0x71000)
#define LAYOUT_AP_PHYS     0x8000 /* page that application processors start in (SIPI vector 8) */
/* near its end: the handler of NMIs in real mode, for a CPU that is reset while one is under way */
#define LAYOUT_REAL_NMI_PHYS (LAYOUT_AP_PHYS + 0xff0)

#define LAYOUT_IMAGE_VIRT 0xffffffff80000000 /* physical 0 .. 256 MiB of the image, nothing else relies on it */
#define LAYOUT_CELL_VIRT  0xffffffffa0000000 /* loaded cells */
#define LAYOUT_CELL_END   0xffffffffe0000000
/* To the end of all addresses: the stack for exceptions of a CPU whose TSS says that theirs is at 0. */
#define LAYOUT_LAST_STACK_VIRT 0xffffffffffffc000
#define LAYOUT_DIRECT_VIRT     0xffff800000000000 /* all physical memory, writable, never executable */
#define LAYOUT_PAGES_VIRT      0xffffc00000000000 /* mapped pages: heap, stacks, devices; a guard page after each */
#define LAYOUT_PAGES_END       0xffffd00000000000

#define LAYOUT_DEBUG_EXIT_PORT 0xf4 /* byte v ends the machine with process status (v << 1) | 1 */
