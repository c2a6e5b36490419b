/* The parts of a note on pointers to functions (guest/abi/note.h), which lie anywhere in an object. */
#pragma once
#include "cells/cell.h"
#include "guest/abi/note.h"

#define ANY __attribute__((aligned(1)))
typedef struct note_pointers any_pointers ANY;
typedef struct note_shape any_shape ANY;
typedef struct note_field any_field ANY;
typedef struct note_root any_root ANY;
#undef ANY

struct pointers {
    const any_pointers *head;
    const any_shape *shape;
    const any_field *field;
    const any_root *root;
};

/* False: its parts do not fit into its bytes, or its names do not end. */
bool pointers_open(const void *note, size_t bytes, struct pointers *ret_pointers);
