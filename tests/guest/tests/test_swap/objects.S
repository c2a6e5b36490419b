/* The object files that the test swaps in. */
#include "tests/guest/fixtures/testing/contents.inc"

    object channel
    object channel_v2
    object fragile
    object fragile_v2
    object fragile_v3
    object fragile_v4
    object fragile_v5
    object fragile_v6

    .section .note.GNU-stack, "", @progbits
