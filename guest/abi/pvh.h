/* The PVH boot protocol (xen/include/public/arch-x86/hvm/start_info.h): the note by which a kernel offers its entry
 * point, and what that finds in memory. The numbers are also for assembly. */
#pragma once

#define PVH_NOTE_OWNER "Xen"
#define PVH_NOTE_ENTRY 18 /* type of the note: XEN_ELFNOTE_PHYS32_ENTRY */
#define PVH_MAGIC      0x336ec578

#ifndef __ASSEMBLER__
#include <stdint.h>

struct pvh_info {
    uint32_t magic, version, flags, modules;
    uint64_t module_list, cmdline, rsdp;
    uint64_t memory_map; /* version 1 and later */
    uint32_t memory_ranges, reserved;
};
_Static_assert(sizeof(struct pvh_info) == 56);

struct pvh_module {
    uint64_t phys, bytes, cmdline, reserved;
};
_Static_assert(sizeof(struct pvh_module) == 32);

enum pvh_range_type { PVH_USABLE = 1, PVH_RESERVED = 2 }; /* as in E820 and Multiboot2 */

struct pvh_range {
    uint64_t phys, bytes;
    uint32_t type, reserved;
};
_Static_assert(sizeof(struct pvh_range) == 24);
#endif
