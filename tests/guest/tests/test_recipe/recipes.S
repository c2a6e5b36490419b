/* The recipes from ledger to ledger_v2 and back, as `cell transfer` has made them. */
#include "tests/guest/fixtures/testing/contents.inc"

    contents ledger_recipes, "build/tests/ledger.recipes"
    contents ledger_back, "build/tests/ledger_back.recipes"
    contents ledger_cautious, "build/tests/ledger_cautious.recipes"

    .section .note.GNU-stack, "", @progbits
