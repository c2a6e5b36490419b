/* Where an NMI has a function go on that has exceeded its deadline: the instruction faults, with the registers and the
 * stack of that function. Never called. */
    .section .text.deadline_trap, "ax"
    .globl deadline_trap
    .hidden deadline_trap
    .type deadline_trap, @function
deadline_trap:
    .cfi_startproc
    .cfi_undefined %rip
    ud2
    .cfi_endproc
    .size deadline_trap, . - deadline_trap

    .section .note.GNU-stack, "", @progbits
