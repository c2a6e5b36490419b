/* References that assembly has and C with these flags has not: distances of 64 and 32 bits between sections, labels apart
 * by more than nothing, and an address that is cut to 32 bits. */
    .section .rodata.survey_distance, "a"
    .globl survey_distance
    .balign 8
survey_distance:
    .quad survey_jump - .
    .quad survey_jump - survey_distance + 24
    .quad survey_middle - survey_start
    .quad survey_table - . - 32

    .section .rodata.survey_short, "a"
    .balign 4
    .globl survey_short
survey_short:
    .long survey_jump - .
    .long survey_table + 0x60000000 + 0x100000000 - 0x60000000

    .section .text.survey_jump, "ax"
    .globl survey_jump
    .type survey_jump, @function
survey_jump:
    .cfi_startproc
survey_start:
    lea survey_short(%rip), %rax
    movslq (%rax), %rcx
    add %rcx, %rax
survey_middle:
    mov $survey_short, %rcx
    jmp survey_tail
    .cfi_endproc
    .size survey_jump, . - survey_jump

    .section .text.survey_tail, "ax"
    .type survey_tail, @function
survey_tail:
    ret
    .size survey_tail, . - survey_tail

    .section .note.GNU-stack, "", @progbits
