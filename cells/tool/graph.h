/* The type graph: paths from a cell's static data to pointers to functions, from DWARF, as in NOTE_POINTERS
 * (guest/abi/note.h). Besides the types that static data reaches, all types with a tag that reach a pointer to a
 * function, for cells to which they are opaque. Not followed: `void *`, integers, and data whose type is not known. */
#pragma once
#include "cells/tool/type.h"
#include "introspect/base/own.h"

struct graph;

struct graph *graph_new(const struct types *types); /* NULL: no memory */
void graph_free(struct graph *graph);               /* accepts NULL */
OWNABLE(graph, graph_free)
/* Adds the static data of section `name`, number `section` of the cell object. */
void graph_add(struct graph *graph, const char *name, uint32_t section, uint64_t bytes, const struct datum *data,
               size_t count);
/* Makes the contents of the note, owned by the caller; NULL and 0 bytes: there are no paths. False: no memory. */
bool graph_note(struct graph *graph, void **ret_note, size_t *ret_bytes);
