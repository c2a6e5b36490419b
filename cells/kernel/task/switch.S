/* The change of stacks, and the first frame of every task. Offsets are those of struct task and,
 * for what the host reads, of struct arena_task. */

/* void task_switch(struct task *from, struct task *to); what is pushed here is struct task_saved of task.h */
    .section .text.task_switch, "ax"
    .globl task_switch, task_switch_plain
    .hidden task_switch_plain
    .type task_switch, @function
    .type task_switch_plain, @function
task_switch:
    .cfi_startproc
    cmpl $0, 24(%rdi)
    jne task_switch_simd
task_switch_plain:
    .irp register, rbp, rbx, r12, r13, r14, r15
    pushq %\register
    .cfi_adjust_cfa_offset 8
    .cfi_rel_offset %\register, 0
    .endr
    movq 16(%rdi), %rax
    movq %rsp, 0(%rdi)
    movq %rsp, 104(%rax)
    movq 0(%rsi), %rsp
    /* Only now may another CPU take `from`; stores are seen in order. */
    movl $0, 8(%rdi)
    .irp register, r15, r14, r13, r12, rbx, rbp
    popq %\register
    .cfi_adjust_cfa_offset -8
    .cfi_restore %\register
    .endr
    ret
    .cfi_endproc
    .size task_switch, . - task_switch
    .size task_switch_plain, . - task_switch_plain

/* Where a new task comes out of task_switch; the end of its stack for the unwinder. */
    .section .text.task_first, "ax"
    .globl task_first
    .hidden task_first
    .type task_first, @function
task_first:
    .cfi_startproc
    .cfi_undefined %rip
    xorl %ebp, %ebp
    call task_begin
    ud2
    .cfi_endproc
    .size task_first, . - task_first

    .section .note.GNU-stack, "", @progbits
