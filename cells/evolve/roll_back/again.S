/* Repeats a call that was rolled back: on the stack are a struct unwind_repeat and the call's return address, in
 * the registers what its caller had there. */
    .section .text.roll_back_again, "ax"
    .globl roll_back_again
    .hidden roll_back_again
    .type roll_back_again, @function
roll_back_again:
    .cfi_startproc
    .cfi_def_cfa %rsp, 64
    call roll_back_wait
    .irp register, rdi, rsi, rdx, rcx, r8, r9
    popq %\register
    .cfi_adjust_cfa_offset -8
    .endr
    ret
    .cfi_endproc
    .size roll_back_again, . - roll_back_again

    .section .note.GNU-stack, "", @progbits
