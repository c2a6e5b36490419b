/* The nano_core image: how the boot processor entered it, the first stack, and where its parts are. guest/entry.S and
 * guest/kernel.ld define these symbols, for guest/main.c only: no cell may refer to them, since the image can be
 * freed. */
#pragma once

#define IMAGE_ENTRY_PVH        1 /* argument: physical address of struct hvm_start_info */
#define IMAGE_ENTRY_MULTIBOOT2 2 /* argument: physical address of the Multiboot2 information */
#define IMAGE_STACK_BYTES      0x8000

#ifndef __ASSEMBLY__
#include <stdint.h>

/* Each part starts on a page of its own. */
extern const uint8_t image_start[];
extern const uint8_t image_text_start[], image_text_end[];     /* read-execute */
extern const uint8_t image_rodata_start[], image_rodata_end[]; /* read-only, with the unwind tables */
extern const uint8_t image_build_id[];                         /* an ELF note: 16 bytes of header, 20 of identity */
extern uint8_t image_data_start[], image_data_end[];           /* read-write, .bss included */
#endif
