/* The trapping instruction of panic(), at an address of its own, in a frame that the unwinder can walk. */
    .section .text.panic, "ax"
    .globl panic, panic_trap
    .type panic, @function
panic:
    .cfi_startproc
    pushq %rbp
    .cfi_adjust_cfa_offset 8
    .cfi_rel_offset %rbp, 0
    movq %rsp, %rbp
    .cfi_def_cfa_register %rbp
panic_trap:
    ud2
    jmp panic_trap
    .cfi_endproc
    .size panic, . - panic

    .section .note.GNU-stack, "", @progbits
