/* Registers that no compiler would keep across a call. */
    .macro each_ymm do:vararg
    .irp number, 0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15
    \do \number
    .endr
    .endm
    .macro load number
    vmovdqu 32 * \number(%rbx), %ymm\number
    .endm
    .macro store number
    vmovdqu %ymm\number, 32 * \number(%rsp)
    .endm

    .set STATE_BYTES, 528       /* struct ymm_state */
    .set MXCSR, 512
    .set FCW, 516
    .set X87, 520

/* uint64_t ymm_hold(const struct ymm_state *state, void (*between)(void), uint64_t turns) */
    .section .text.ymm_hold, "ax"
    .globl ymm_hold
    .type ymm_hold, @function
ymm_hold:
    .cfi_startproc
    pushq %rbp
    .cfi_def_cfa_offset 16
    .cfi_offset %rbp, -16
    movq %rsp, %rbp
    .cfi_def_cfa_register %rbp
    pushq %rbx
    .cfi_offset %rbx, -24
    pushq %r12
    .cfi_offset %r12, -32
    pushq %r13
    .cfi_offset %r13, -40
    pushq %r14
    .cfi_offset %r14, -48
    subq $STATE_BYTES, %rsp
    movq %rdi, %rbx
    movq %rsi, %r12
    movq %rdx, %r13
    xorl %r14d, %r14d
    vldmxcsr MXCSR(%rbx)
    fldcw FCW(%rbx)
    fildq X87(%rbx)
    each_ymm load
1:  call *%r12
    movw $0, FCW + 2(%rsp)
    each_ymm store
    vstmxcsr MXCSR(%rsp)
    fnstcw FCW(%rsp)
    fistpq X87(%rsp)
    fildq X87(%rsp)
    movq %rbx, %rsi
    movq %rsp, %rdi
    movl $STATE_BYTES / 8, %ecx
    repe cmpsq
    setne %al
    movzbl %al, %eax
    addq %rax, %r14
    each_ymm load
    decq %r13
    jnz 1b
    vzeroall
    fninit
    vldmxcsr mxcsr_start
    movq %r14, %rax
    addq $STATE_BYTES, %rsp
    popq %r14
    popq %r13
    popq %r12
    popq %rbx
    popq %rbp
    .cfi_def_cfa %rsp, 8
    ret
    .cfi_endproc
    .size ymm_hold, . - ymm_hold

/* void ymm_look(struct ymm_state *ret_state) */
    .section .text.ymm_look, "ax"
    .globl ymm_look
    .type ymm_look, @function
ymm_look:
    .cfi_startproc
    .macro show number
    vmovdqu %ymm\number, 32 * \number(%rdi)
    .endm
    each_ymm show
    vstmxcsr MXCSR(%rdi)
    fnstcw FCW(%rdi)
    movw $0, FCW + 2(%rdi)
    subq $40, %rsp
    .cfi_adjust_cfa_offset 40
    fnstenv (%rsp)              /* masks exceptions too */
    fldcw FCW(%rdi)
    movzwl 8(%rsp), %eax        /* two bits per register, 3: empty */
    xorl $0xffff, %eax
    movq %rax, X87(%rdi)
    addq $40, %rsp
    .cfi_adjust_cfa_offset -40
    ret
    .cfi_endproc
    .size ymm_look, . - ymm_look

/* void ymm_divide(void) */
    .section .text.ymm_divide, "ax"
    .globl ymm_divide
    .type ymm_divide, @function
ymm_divide:
    .cfi_startproc
    vldmxcsr mxcsr_divide
    vpcmpeqd %xmm0, %xmm0, %xmm0
    vpsrld $31, %xmm0, %xmm0
    vcvtdq2ps %xmm0, %xmm0
    vxorps %xmm1, %xmm1, %xmm1
    vdivps %xmm1, %xmm0, %xmm0
    int $19                     /* QEMU only sets the flag */
    ret
    .cfi_endproc
    .size ymm_divide, . - ymm_divide

/* void ymm_crash(void) */
    .section .text.ymm_crash, "ax"
    .globl ymm_crash
    .type ymm_crash, @function
ymm_crash:
    .cfi_startproc
    vmovdqu %ymm0, 0
    ret
    .cfi_endproc
    .size ymm_crash, . - ymm_crash

/* uint64_t ymm_hide(uint64_t word, uint64_t key, void (*between)(void)) */
    .section .text.ymm_hide, "ax"
    .globl ymm_hide
    .type ymm_hide, @function
ymm_hide:
    .cfi_startproc
    pushq %rbx
    .cfi_def_cfa_offset 16
    .cfi_offset %rbx, -16
    movq %rsi, %rbx
    xorq %rsi, %rdi
    vmovq %rdi, %xmm7
    vinserti128 $1, %xmm7, %ymm7, %ymm7
    xorl %edi, %edi
    call *%rdx
    vextracti128 $1, %ymm7, %xmm0 /* the half that only AVX state has */
    vmovq %xmm0, %rax
    xorq %rbx, %rax
    vzeroall
    popq %rbx
    .cfi_def_cfa_offset 8
    ret
    .cfi_endproc
    .size ymm_hide, . - ymm_hide

    .section .rodata.mxcsr, "a"
    .balign 4
mxcsr_start:
    .long 0x1f80
mxcsr_divide:
    .long 0x1d80

    .section .note.GNU-stack, "", @progbits
