/* Where a call comes to whose function's door is closed: on the stack are an address behind the entry, and the caller's return
 * address; in the registers the arguments. The entry's own address is a word that a swap leads to the new version. */
    .section .text.door_wait, "ax"
    .globl door_wait
    .hidden door_wait
    .type door_wait, @function
door_wait:
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
    .size door_wait, . - door_wait

    .section .note.GNU-stack, "", @progbits
