/* The parts of an object's note on pointers to functions (guest/abi/note.h). The note may be unaligned. */
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

/* Finds the parts of the note, borrowed from it. False: its parts are not exactly its bytes, or its last name has no
 * end; ret_pointers is untouched. */
bool pointers_open(const void *note, size_t bytes, struct pointers *ret_pointers);
