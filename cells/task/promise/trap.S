/* Where a task goes on that has broken its promise: the instruction faults, with the registers and the stack that the
 * task had. Never called. */
    .section .text.promise_trap, "ax"
    .globl promise_trap
    .hidden promise_trap
    .type promise_trap, @function
promise_trap:
    .cfi_startproc
    .cfi_undefined %rip
    ud2
    .cfi_endproc
    .size promise_trap, . - promise_trap

    .section .note.GNU-stack, "", @progbits
