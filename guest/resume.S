/* The end of landing pads in the image. Jumps to the unwind cell's function if that is loaded, with all registers as
 * they are, else halts. */
    .section .text._Unwind_Resume, "ax"
    .globl _Unwind_Resume
    .type _Unwind_Resume, @function
_Unwind_Resume:
    .cfi_startproc
    cmpq $0, exception_unwind_resume
    je 1f
    jmp *exception_unwind_resume
1:  movq $no_unwinder, %rdi
    jmp panic_halt
    .cfi_endproc
    .size _Unwind_Resume, . - _Unwind_Resume

/* Only its address is used: it marks frames that have GCC's exception table for C. */
    .section .text.__gcc_personality_v0, "ax"
    .globl __gcc_personality_v0
    .type __gcc_personality_v0, @function
__gcc_personality_v0:
    .cfi_startproc
    ud2
    .cfi_endproc
    .size __gcc_personality_v0, . - __gcc_personality_v0

    .section .rodata.no_unwinder, "a"
    .type no_unwinder, @object
no_unwinder:
    .asciz "a landing pad of the nano_core ended, but there is no unwinder"
    .size no_unwinder, . - no_unwinder

    .section .note.GNU-stack, "", @progbits
