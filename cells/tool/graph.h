/* The ways from a cell's static data to pointers to functions, from DWARF: the contents of NOTE_POINTERS (guest/abi/note.h).
 * Besides what static data leads to, all types with a tag that lead to a pointer to a function, for cells to which they
 * are opaque. Not followed: `void *`, integers, and data whose type is not known. */
#pragma once
#include "cells/tool/type.h"

struct graph;

struct graph *graph_new(const struct types *types); /* NULL: no memory */
void graph_free(struct graph *graph);
/* Static data in section `name`, number `section` of the cell object. */
void graph_add(struct graph *graph, const char *name, uint32_t section, uint64_t bytes, const struct datum *data,
               size_t count);
/* What is to stand in the note, to be freed; NULL and 0 bytes: there are no ways. False: no memory. */
bool graph_note(struct graph *graph, void **ret_note, size_t *ret_bytes);
