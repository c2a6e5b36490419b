/* The switch of stacks, and the first frame of every task. task.c asserts the offsets: of struct task, and of struct
 * arena_task, in which the host reads the saved stack pointer. */

/* void task_switch(struct task *from, struct task *to); pushes a struct task_saved */
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
    /* From here on another CPU may run `from`; stores are seen in order. */
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

/* Where task_switch returns to in a new task: the outermost frame for the unwinder. The registers that task_switch does
 * not restore still have what the task before had in them. They are cleared: an interrupt would push them onto this
 * stack, where an address in an old cell, left in a frame that is never written, would keep that cell in memory. */
    .section .text.task_first, "ax"
    .globl task_first
    .hidden task_first
    .type task_first, @function
task_first:
    .cfi_startproc
    .cfi_undefined %rip
    .irp register, eax, ecx, edx, esi, edi, ebp, r8d, r9d, r10d, r11d
    xorl %\register, %\register
    .endr
    call task_begin
    ud2
    .cfi_endproc
    .size task_first, . - task_first

    .section .note.GNU-stack, "", @progbits
