/* Where landing pads end, and GCC's marker of frames that have a table of them. */
#define CPU_FAULT_STACK_IST 64 /* offset in struct cpu; unwind.c asserts it */

/* The pad's registers are not needed any more: those of its frame are in struct progress. rdi: exception. */
    .section .text._Unwind_Resume, "ax"
    .globl _Unwind_Resume
    .type _Unwind_Resume, @function
_Unwind_Resume:
    .cfi_startproc
    .cfi_undefined %rip
    pushfq
    popq %rsi
    cli
    movq %gs:CPU_FAULT_STACK_IST, %rax
    movq (%rax), %rsp
    xorl %ebp, %ebp
    call unwind_continue
    ud2
    .cfi_endproc
    .size _Unwind_Resume, . - _Unwind_Resume

/* Where task_switch returns to in a task that is rolled back, as if task_switch's caller had called this: on the
 * stack is the return address into that caller. Interrupts are off. Builds a struct task_saved. */
    .section .text.unwind_enter_roll_back, "ax"
    .globl unwind_enter_roll_back
    .hidden unwind_enter_roll_back
    .type unwind_enter_roll_back, @function
unwind_enter_roll_back:
    .cfi_startproc
    .irp register, rbp, rbx, r12, r13, r14, r15
    pushq %\register
    .cfi_adjust_cfa_offset 8
    .cfi_rel_offset %\register, 0
    .endr
    movq %rsp, %rdi
    movq %gs:CPU_FAULT_STACK_IST, %rax
    movq (%rax), %rsp
    .cfi_undefined %rip
    xorl %ebp, %ebp
    call unwind_start_roll_back
    ud2
    .cfi_endproc
    .size unwind_enter_roll_back, . - unwind_enter_roll_back

/* Never called: only its address is used. */
    .section .text.__gcc_personality_v0, "ax"
    .globl __gcc_personality_v0
    .type __gcc_personality_v0, @function
__gcc_personality_v0:
    .cfi_startproc
    ud2
    .cfi_endproc
    .size __gcc_personality_v0, . - __gcc_personality_v0

    .section .note.GNU-stack, "", @progbits
