/* Entry of the boot processor: from 32-bit protected mode (PVH, Multiboot2) to 64-bit C at the image's virtual address,
 * on early page tables. Passes on what the boot loader has passed, unread. */
#include "guest/abi/layout.h"
#include "guest/abi/paging.h"
#include "guest/abi/pvh.h"
#include "cells/core/boot/image.h"

#define PHYS(symbol) (symbol - LAYOUT_IMAGE_VIRT)

#define MULTIBOOT2_HEADER_MAGIC 0xe85250d6

/* The linker script asserts that it agrees with layout.h. */
    .globl layout_image_virt, layout_image_phys, layout_arena_phys, layout_arena_bytes
    .globl layout_faults_phys, layout_tables_phys
    .set layout_image_virt, LAYOUT_IMAGE_VIRT
    .set layout_image_phys, LAYOUT_IMAGE_PHYS
    .set layout_arena_phys, LAYOUT_ARENA_PHYS
    .set layout_faults_phys, LAYOUT_FAULTS_PHYS
    .set layout_tables_phys, LAYOUT_TABLES_PHYS
    .set layout_arena_bytes, LAYOUT_ARENA_BYTES

    .section .multiboot, "ax"
    .balign 8
multiboot_start:
    .long MULTIBOOT2_HEADER_MAGIC, 0, multiboot_end - multiboot_start
    .long 0x100000000 - (MULTIBOOT2_HEADER_MAGIC + multiboot_end - multiboot_start)
    .balign 8
    .short 3, 0             /* entry address */
    .long 12, PHYS(entry_multiboot)
    .balign 8
    .short 5, 1             /* a frame buffer, optional: 1024 x 768 x 32 preferred */
    .long 20, 1024, 768, 32
    .balign 8
    .short 6, 0             /* modules on page boundaries */
    .long 8
    .balign 8
    .short 0, 0
    .long 8
multiboot_end:

    .section .note.Xen, "a", @note
    .balign 4
    .long 4, 8, PVH_NOTE_ENTRY
    .asciz PVH_NOTE_OWNER
    .quad PHYS(entry_pvh)

    .section .text.entry, "ax"
    .code32
    .globl entry_pvh, entry_multiboot
    .type entry_pvh, @function
entry_pvh:
    movl $IMAGE_ENTRY_PVH, %edi
    jmp entry_common
    .size entry_pvh, . - entry_pvh

    .type entry_multiboot, @function
entry_multiboot:
    movl $IMAGE_ENTRY_MULTIBOOT2, %edi
    .size entry_multiboot, . - entry_multiboot

    .type entry_common, @function
entry_common:
    cli
    cld
    movl %ebx, %esi
    movl $PAGING_CR4, %eax
    movl %eax, %cr4
    movl $PHYS(entry_root), %eax
    movl %eax, %cr3
    movl $PAGING_EFER, %ecx
    rdmsr
    orl $PAGING_EFER_BITS, %eax
    wrmsr
    movl $PAGING_CR0, %eax
    movl %eax, %cr0
    lgdt PHYS(entry_gdt_pointer)
    ljmp $8, $PHYS(entry_long)

    .code64
entry_long:
    movq $entry_high, %rax
    jmp *%rax
entry_high:
    xorl %eax, %eax
    movl %eax, %ds
    movl %eax, %es
    movl %eax, %ss
    movl %eax, %fs
    movl %eax, %gs
    xorl %ebp, %ebp
    movq $image_stack_top, %rsp
    pushq $0                /* the unwinder stops at a return address of 0 */
    jmp main
    .size entry_common, . - entry_common

/* Identity, direct and image mappings of the first 4 GiB (1 GiB for the image), writable and executable,
 * until page_init. */
    .section .data.entry_tables, "aw"
    .globl entry_root
    .balign 4096
entry_root:
    .quad PHYS(entry_pointers_low) + PAGING_TABLE
    .fill 255, 8, 0
    .quad PHYS(entry_pointers_low) + PAGING_TABLE
    .fill 254, 8, 0
    .quad PHYS(entry_pointers_high) + PAGING_TABLE
entry_pointers_low:
    .quad PHYS(entry_directories) + PAGING_TABLE
    .quad PHYS(entry_directories) + 0x1000 + PAGING_TABLE
    .quad PHYS(entry_directories) + 0x2000 + PAGING_TABLE
    .quad PHYS(entry_directories) + 0x3000 + PAGING_TABLE
    .fill 508, 8, 0
entry_pointers_high:
    .fill 510, 8, 0
    .quad PHYS(entry_directories) + PAGING_TABLE
    .quad 0
entry_directories:
    .set entry_frame, PAGING_PRESENT + PAGING_WRITE + PAGING_LARGE
    .rept 2048
    .quad entry_frame
    .set entry_frame, entry_frame + PAGING_LARGE_BYTES
    .endr
    .size entry_root, . - entry_root
    .type entry_root, @object

    .section .rodata.entry_gdt, "a"
    .balign 8
entry_gdt:
    .quad 0, 0x00af9a000000ffff, 0x00cf92000000ffff
entry_gdt_pointer:
    .word entry_gdt_pointer - entry_gdt - 1
    .long PHYS(entry_gdt)

    .section .data.image_stack, "aw"
    .globl image_stack, image_stack_top
    .balign 4096
image_stack:
    .skip IMAGE_STACK_BYTES
    .size image_stack, . - image_stack
    .type image_stack, @object
image_stack_top:

    .section .note.GNU-stack, "", @progbits
