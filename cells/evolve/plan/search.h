/* A search along the type graph, and the names of what it has found. Internal to the plan cell. */
#pragma once
#include "cells/evolve/plan/plan.h"
#include "cells/evolve/plan/type_graph.h"

#define SEARCH_ROOT      UINT32_MAX
#define SEARCH_DEPTH_MAX 16 /* of types within types */

/* What a pointer refers to, as one type. */
struct object {
    uint64_t virt;
    const uint8_t *bytes; /* in the direct map */
    uint32_t type;
    uint32_t room;              /* bytes to the end of its block or section */
    struct section_ref section; /* of a root; none: a pointer refers to it */
    uint32_t parent, at;        /* the object that the first such pointer is in, and where; SEARCH_ROOT: none */
};

struct search {
    const struct plan *plan;
    const struct type_graph *graph;
    struct object *object; /* those found, in the order in which they are searched */
    uint32_t *slot;        /* by hash of address and type: number of the object plus one */
    size_t objects, max, steps;
    bool full; /* there are more than `max` objects */
    enum err error;
    struct report *report;
};

/* path.c: refuses the swap, since at byte `at` of the object a pointer refers to `function`, which has no counterpart
 * or, if `retyped`, one of another type. */
void search_refuse(struct search *search, const struct object *object, uint32_t at, uint64_t function, bool retyped);
