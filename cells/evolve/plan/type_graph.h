/* The type graph: from static data along pointers to pointers to functions, as the objects of all live cells describe
 * it (NOTE_POINTERS in guest/abi/note.h). What is opaque to one cell is looked up in the others. Internal to the plan
 * cell. */
#pragma once
#include "cells/cell.h"
#include "cells/core/page/page.h"
#include "guest/abi/arena.h"
#include "guest/abi/note.h"

struct graph_type {
    const struct note_shape *shape;
    struct note_field *field; /* targets are indices in the whole graph */
    const char *names;
    struct cell_ref cell;
    bool reaches; /* a pointer to a function is in it, or is reached along its pointers */
    bool open;    /* it ends with an array of unknown length, which continues to the end of its block */
};

/* A datum where a search begins. */
struct graph_root {
    struct section_ref section;
    uint32_t type;
};

struct type_graph {
    struct mapped_pages *memory;
    struct graph_type *type;
    struct graph_root *root;
    size_t types, roots;
};

/* The type graph of all live cells. Copies the notes and checks each again, since memory may be damaged; a damaged note
 * is left out. NULL: no memory. Release with type_graph_put. Needs the loader lock. */
void type_graph_put(TAKES struct type_graph *graph);
OWNABLE(type_graph)
RELEASED_BY(type_graph_put) struct type_graph *type_graph_new(void);
