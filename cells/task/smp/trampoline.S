/* Where an application processor starts: in real mode, at LAYOUT_AP_PHYS, where this is copied to. It enters 64-bit
 * mode on page tables that map this page where it is, and jumps to smp_high in the cell's text, which loads the
 * final ones. */
#include "guest/abi/layout.h"
#include "guest/abi/paging.h"

#define HERE(symbol) (LAYOUT_AP_PHYS + symbol - smp_trampoline)

    .section .rodata.smp_trampoline, "a"
    .globl smp_trampoline, smp_trampoline_root, smp_trampoline_high, smp_trampoline_end
    .hidden smp_trampoline, smp_trampoline_root, smp_trampoline_high, smp_trampoline_end
    .type smp_trampoline, @object
    .code16
smp_trampoline:
    cli
    cld
    xorw %ax, %ax
    movw %ax, %ds
    lgdtl HERE(gdt_pointer)
    movl %cr0, %eax
    andl $~0x60000000, %eax     /* caches on */
    orl $1, %eax
    movl %eax, %cr0
    ljmpl $8, $HERE(flat)
    .code32
flat:
    movw $16, %ax
    movw %ax, %ds
    movw %ax, %es
    movw %ax, %ss
    movl $PAGING_CR4, %eax
    movl %eax, %cr4
    movl HERE(smp_trampoline_root), %eax
    movl %eax, %cr3
    movl $PAGING_EFER, %ecx
    rdmsr
    orl $PAGING_EFER_BITS, %eax
    wrmsr
    movl $PAGING_CR0, %eax
    movl %eax, %cr0
    ljmp $24, $HERE(long)
    .code64
long:
    xorl %eax, %eax
    movl %eax, %ds
    movl %eax, %es
    movl %eax, %ss
    movl %eax, %fs
    movl %eax, %gs
    movq HERE(smp_trampoline_high), %rax
    jmp *%rax
    .balign 8
gdt:
    .quad 0, 0x00cf9a000000ffff, 0x00cf92000000ffff, 0x00af9a000000ffff
gdt_pointer:
    .word gdt_pointer - gdt - 1
    .long HERE(gdt)
    .balign 8
smp_trampoline_high:
    .quad 0
smp_trampoline_root:
    .long 0
smp_trampoline_end:
    .size smp_trampoline, . - smp_trampoline

/* smp_entry: the final page tables, the top of a stack, the first C function. */
    .section .text.smp_high, "ax"
    .globl smp_high
    .hidden smp_high
    .type smp_high, @function
smp_high:
    movq smp_entry + 0, %rax
    movq %rax, %cr3
    movq smp_entry + 8, %rsp
    xorl %ebp, %ebp
    pushq $0                /* the unwinder stops at a return address of 0 */
    jmp *smp_entry + 16
    .size smp_high, . - smp_high

    .section .note.GNU-stack, "", @progbits
