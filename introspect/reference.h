/* Who refers to a cell: the counts that keep it loaded (thesis §5.1, figure 5.2). */
#pragma once
#include "introspect/view.h"

struct references {
    size_t out, in; /* edges to sections of other cells, and from there */
    size_t inside;  /* edges between its own sections, or within one */
    size_t tasks;   /* whose entry function is in it */
    /* as the guest counts: */
    uint32_t holders;      /* edges to it from other cells */
    uint32_t object_cells; /* cells that were made from its object, itself included; 0: it has none */
};

/* All 0 for a cell that does not exist. */
struct references references_of(const struct view *view, struct cell_ref cell);
