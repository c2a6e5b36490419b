/* Entry stubs of all 256 vectors, the common save and restore, and the return into a changed frame. The offsets are
 * those of struct trap_frame. */
#include "cells/core/exception/stubs.h"

/* A stub has four bytes: it pushes the vector and jumps to the end of its group of 32, which jumps on. */
    .section .text.exception_stubs, "ax"
    .globl exception_stubs
    .type exception_stubs, @function
    .balign 16
exception_stubs:
    .set vector, 0
    .rept 8
    .rept 32
    .if vector < 128
    pushq $vector
    .else
    pushq $vector - 256         /* one byte, sign-extended */
    .endif
    .if vector == 8 || (vector >= 10 && vector <= 14) || vector == 17 || vector == 21 || vector == 29 || vector == 30
    jmp 2f
    .else
    jmp 1f
    .endif
    .set vector, vector + 1
    .endr
    .if vector <= 32
1:  jmp exception_enter_without_error
2:  jmp exception_enter
    .else
1:  jmp exception_without_error
2:  jmp exception_common
    .endif
    .org exception_stubs + vector * EXCEPTION_STUB_BYTES + vector / 32 * EXCEPTION_HOP_BYTES
    .endr
    .size exception_stubs, . - exception_stubs

/* Exceptions: counts them until exception_dispatch reaches a handler. When the path itself is damaged, each exception
 * causes the next one, all on the same part of the fault stack: what was interrupted is lost. */
    .section .text.exception_enter, "ax"
    .globl exception_last
    .type exception_enter, @function
    .type exception_last, @function
exception_enter_without_error:
    .cfi_startproc
    .cfi_signal_frame
    .cfi_def_cfa %rsp, 48
    .cfi_offset %rip, -40
    .cfi_offset %rsp, -16
    pushq (%rsp)
    .cfi_adjust_cfa_offset 8
    movq $0, 8(%rsp)
exception_enter:
    incl %gs:EXCEPTION_CPU_ENTRIES
    cmpl $EXCEPTION_ENTRIES_MAX, %gs:EXCEPTION_CPU_ENTRIES
    jbe exception_common
    movzbl (%rsp), %edi
    movq 16(%rsp), %rsi
    .cfi_endproc
    .size exception_enter_without_error, . - exception_enter_without_error

/* _Noreturn void exception_last(uint64_t vector, uint64_t rip) */
exception_last:
    .cfi_startproc
    .cfi_undefined %rip
    cli
    movl $0, %gs:EXCEPTION_CPU_ENTRIES
    movq %gs:EXCEPTION_CPU_TOP, %rsp
    xorl %ebp, %ebp
    cld
    movq exception_last_resort(%rip), %rax
    testq %rax, %rax
    jz 1f
    call *%rax
1:  hlt
    jmp 1b
    .cfi_endproc
    .size exception_last, . - exception_last

/* The vector moves down by one place and leaves its own to the error code. */
    .section .text.exception_without_error, "ax"
    .type exception_without_error, @function
exception_without_error:
    .cfi_startproc
    .cfi_signal_frame
    .cfi_def_cfa %rsp, 48
    .cfi_offset %rip, -40
    .cfi_offset %rsp, -16
    pushq (%rsp)
    .cfi_adjust_cfa_offset 8
    movq $0, 8(%rsp)
    jmp exception_common
    .cfi_endproc
    .size exception_without_error, . - exception_without_error

/* CFA: the end of the frame that the CPU pushed. */
    .section .text.exception_common, "ax"
    .type exception_common, @function
exception_common:
    .cfi_startproc
    .cfi_signal_frame
    .cfi_def_cfa %rsp, 56
    .cfi_offset %rip, -40
    .cfi_offset %rsp, -16
    .macro save register
    pushq %\register
    .cfi_adjust_cfa_offset 8
    .cfi_rel_offset %\register, 0
    .endm
    .irp register, rax, rbx, rcx, rdx, rsi, rdi, rbp, r8, r9, r10, r11, r12, r13, r14, r15
    save \register
    .endr
    cld
    andq $0xff, 120(%rsp)       /* the vector */
    movq %rsp, %rdi
    xorl %ebp, %ebp
    call exception_dispatch
    .cfi_remember_state
    .macro load register
    popq %\register
    .cfi_adjust_cfa_offset -8
    .cfi_restore %\register
    .endm
    .irp register, r15, r14, r13, r12, r11, r10, r9, r8, rbp, rdi, rsi, rdx, rcx, rbx, rax
    load \register
    .endr
    addq $16, %rsp
    .cfi_adjust_cfa_offset -16
    iretq
    .cfi_endproc
    .size exception_common, . - exception_common

/* _Noreturn void exception_load(const struct trap_frame *frame) */
    .section .text.exception_load, "ax"
    .globl exception_load
    .type exception_load, @function
exception_load:
    .cfi_startproc
    .cfi_signal_frame
    .cfi_undefined %rip
    movq %rdi, %rsp
    .irp register, r15, r14, r13, r12, r11, r10, r9, r8, rbp, rdi, rsi, rdx, rcx, rbx, rax
    popq %\register
    .endr
    addq $16, %rsp
    iretq
    .cfi_endproc
    .size exception_load, . - exception_load

    .section .note.GNU-stack, "", @progbits
