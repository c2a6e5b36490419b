/* The nano_core image as its own code sees it: how a processor came in, the first stack, and where the parts of the
 * image are. guest/entry.S and guest/kernel.ld define these symbols. */
#pragma once

#define IMAGE_ENTRY_PVH        1 /* argument: physical address of struct hvm_start_info */
#define IMAGE_ENTRY_MULTIBOOT2 2 /* argument: physical address of the Multiboot2 information */
#define IMAGE_ENTRY_PROCESSOR  3
#define IMAGE_STACK_BYTES      0x8000

#ifndef __ASSEMBLY__
#include <stdint.h>

/* Each part starts on a page of its own. */
extern const uint8_t image_start[];
extern const uint8_t image_text_start[], image_text_end[];     /* read-execute */
extern const uint8_t image_rodata_start[], image_rodata_end[]; /* read-only, with the unwind tables */
extern const uint8_t image_eh_frame_start[], image_eh_frame_end[];
extern const uint8_t image_except_start[], image_except_end[]; /* .gcc_except_table */
extern const uint8_t image_build_id[];                         /* an ELF note: 16 bytes of header, 20 of identity */
extern uint8_t image_data_start[], image_data_end[];           /* read-write, .bss included */
extern uint8_t image_arena_start[], image_arena_end[];

/* The boot processor's stack, page-aligned; image_stack_guard is the page below, left unmapped. */
extern uint8_t image_stack_guard[], image_stack[], image_stack_top[];

/* Where an application processor goes on once it is in 64-bit mode; assembly knows the offsets. One starts at a time,
 * at image_processor_entry's physical address, in flat 32-bit protected mode without paging. */
struct image_processor {
    uint64_t page_root;
    uint64_t stack_top;
    void (*enter)(void); /* never returns */
};
extern struct image_processor image_processor;
void image_processor_entry(void);
#endif
