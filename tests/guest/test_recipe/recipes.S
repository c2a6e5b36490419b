/* The recipes from ledger to ledger_v2, as `cell transfer` has made them. */
    .section .rodata.recipes, "a"
    .balign 8
    .globl ledger_recipes, ledger_recipes_end
    .type ledger_recipes, @object
ledger_recipes:
    .incbin "build/tests/ledger.recipes"
ledger_recipes_end:
    .size ledger_recipes, . - ledger_recipes

    .section .note.GNU-stack, "", @progbits
