/* The object files that namespaces are changed by. */
    .macro object name
    .globl object_\name, object_\name\()_end
    .type object_\name, @object
object_\name:
    .incbin "build/cells/\name\().o"
object_\name\()_end:
    .size object_\name, . - object_\name
    .balign 8
    .endm

    .section .rodata.objects, "a"
    .balign 8
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
