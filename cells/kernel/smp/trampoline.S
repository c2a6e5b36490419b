/* Where an application processor wakes up: real mode, at LAYOUT_AP_PHYS, to where this is copied. Leads to flat 32-bit
 * mode and on to the address in smp_trampoline_target. */
#include "guest/abi/layout.h"

#define HERE(symbol) (LAYOUT_AP_PHYS + symbol - smp_trampoline)

    .section .rodata.smp_trampoline, "a"
    .globl smp_trampoline, smp_trampoline_target, smp_trampoline_end
    .hidden smp_trampoline, smp_trampoline_target, smp_trampoline_end
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
    movl HERE(smp_trampoline_target), %eax
    jmp *%eax
    .balign 8
gdt:
    .quad 0, 0x00cf9a000000ffff, 0x00cf92000000ffff
gdt_pointer:
    .word gdt_pointer - gdt - 1
    .long HERE(gdt)
smp_trampoline_target:
    .long 0
smp_trampoline_end:
    .size smp_trampoline, . - smp_trampoline

    .section .note.GNU-stack, "", @progbits
