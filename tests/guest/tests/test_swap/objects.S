/* The object files that the test swaps in. */
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
    object channel
    object channel_v2
    object fragile
    object fragile_v2
    object fragile_v3
    object fragile_v4
    object fragile_v5
    object fragile_v6

    .section .note.GNU-stack, "", @progbits
