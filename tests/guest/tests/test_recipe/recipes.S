/* The recipes from ledger to ledger_v2 and back, as `cell transfer` has made them. */
    .macro recipes name, file
    .balign 8
    .globl \name, \name\()_end
    .type \name, @object
\name:
    .incbin "\file"
\name\()_end:
    .size \name, . - \name
    .endm

    .section .rodata.recipes, "a"
    recipes ledger_recipes, "build/tests/ledger.recipes"
    recipes ledger_back, "build/tests/ledger_back.recipes"
    recipes ledger_cautious, "build/tests/ledger_cautious.recipes"

    .section .note.GNU-stack, "", @progbits
