/* The ways to pointers to functions that all live cells' objects tell of (NOTE_POINTERS in guest/abi/note.h), as one graph:
 * what is opaque to one cell is looked up in the others. Internal to the swap cell. */
#pragma once
#include "cells/cell.h"
#include "cells/kernel/page/page.h"
#include "guest/abi/note.h"

struct way_type {
    const struct note_shape *shape;
    struct note_field *field; /* targets are indices in the whole graph */
    const char *names;
    uint32_t cell;
    bool leads; /* to a pointer to a function */
    bool open;  /* ends with an array that goes on to the end of its block */
};

struct way_root {
    uint32_t section, type;
};

struct ways {
    struct mapped_pages *memory;
    struct way_type *type;
    struct way_root *root;
    size_t types, roots;
};

/* Copies the notes, each of which is checked again, since memory may have been hit; a damaged one is as none. NULL: no
 * memory. For who has the loader's turn. */
void ways_put(TAKES struct ways *ways);
OWNABLE(ways)
RELEASED_BY(ways_put) struct ways *ways_gather(void);
