/* Where an NMI has a CPU go on that hangs: the instruction faults, with the registers and the stack of what it ran.
 * Never called. */
    .section .text.watchdog_trap, "ax"
    .globl watchdog_trap
    .hidden watchdog_trap
    .type watchdog_trap, @function
watchdog_trap:
    .cfi_startproc
    .cfi_undefined %rip
    ud2
    .cfi_endproc
    .size watchdog_trap, . - watchdog_trap

    .section .note.GNU-stack, "", @progbits
