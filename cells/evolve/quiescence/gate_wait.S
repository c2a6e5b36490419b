/* Where a call to a gated entry arrives. On the stack are an address behind the entry, and the caller's return address;
 * in the registers the arguments. The entry's own address becomes a word on the stack, which a swap redirects to the
 * new version. */
    .section .text.gate_wait, "ax"
    .globl gate_wait
    .hidden gate_wait
    .type gate_wait, @function
gate_wait:
    .cfi_startproc
    .cfi_def_cfa_offset 16
    subq $5, (%rsp)
    .irp register, r9, r8, rcx, rdx, rsi, rdi
    pushq %\register
    .cfi_adjust_cfa_offset 8
    .endr
    call roll_back_wait
    .irp register, rdi, rsi, rdx, rcx, r8, r9
    popq %\register
    .cfi_adjust_cfa_offset -8
    .endr
    ret
    .cfi_endproc
    .size gate_wait, . - gate_wait

    .section .note.GNU-stack, "", @progbits
