/* Which file with DWARF belongs to an object that a guest has: that which `cell make` wrote beside it. */
#pragma once
#include <stddef.h>
#include <stdint.h>
#include "introspect/base/own.h"

struct builds;
void builds_free(struct builds *builds); /* accepts NULL */
OWNABLE(builds, builds_free)

/* Reads BUILD/cells/NAME.o of each of the folders, whose files with DWARF are BUILD/cells.debug/NAME.o. What cannot be
 * read is left out. NULL: no memory. */
RELEASED_BY(builds_free) struct builds *builds_read(const char *const *folder, size_t folders);

/* The file with DWARF, borrowed; NULL: no such object is known. `hash` is object_hash() of its bytes. */
const char *builds_find(const struct builds *builds, uint64_t hash);
