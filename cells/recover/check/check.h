/* Looks for wrong data: walks from the static data of cells along their pointers, and compares each pointer,
 * enumeration, bool, length and list with the rules of the cells' objects (NOTE_RULES in guest/abi/note.h), so that
 * what is to blame for a fault is found where the fault is not. It trusts neither data nor notes: all is read through
 * the direct map, and the walk ends after so many steps and objects. Not walked: cells of the core and the foundation,
 * whose objects have no rules; what `void *` and integers refer to; unions; bit fields; stacks. */
#pragma once
#include "cells/cell.h"
#include "cells/core/loader/loader.h"
#include "guest/abi/arena.h"

#define CHECK_PATH_BYTES 64
#define CHECK_WHAT_BYTES 64

/* A datum that is not as it must be. */
struct check_finding {
    struct cell_ref cell;        /* from whose static data it is reached */
    uint64_t address, value;     /* of the word, and what it is */
    char path[CHECK_PATH_BYTES]; /* "volume->root.first" */
    char what[CHECK_WHAT_BYTES]; /* "a pointer to a freed block: ffffc00000123400" */
};

/* Looks at the static data of `cells`, of which some may have no rules. Returns how many data are wrong, and writes at
 * most `max` of them. A datum counts when it is wrong in the same way three times, some milliseconds apart, so that a
 * change that is under way is not reported. From a task, no spin lock held: it parks the other CPUs for each look, and
 * sleeps in between. One at a time, which the loader lock sees to. */
size_t check_data(const struct cell_ref *cells, size_t count, struct check_finding *ret_findings, size_t max)
    NEEDS(loader_lock);
