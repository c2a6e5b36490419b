/* The object files that namespaces are changed by. */
#include "tests/guest/fixtures/testing/contents.inc"

    object figure_a
    object figure_a_v2
    object figure_b
    object figure_b_v2
    object figure_c
    object figure_c_v2
    object figure_c_v3
    object figure_c_v4
    object figure_c_v5
    object figure_once

    .section .note.GNU-stack, "", @progbits
