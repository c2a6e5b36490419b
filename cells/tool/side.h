/* A finished cell object together with its DWARF, which `cell make` leaves in a file of the same name in the folder beside
 * it: build/cells/NAME.o and build/cells.debug/NAME.o. */
#pragma once
#include "cells/tool/notes.h"
#include "cells/tool/object.h"
#include "cells/tool/type.h"

/* A section of static data. */
struct side_section {
    size_t index; /* in the cell object */
    const char *name;
    uint64_t bytes;
    struct note_data note;
    const struct datum *data; /* what lies in it; NULL when its type is not known */
    size_t count;
};

struct side {
    const char *path; /* borrowed */
    char *debug;
    struct object object;
    struct notes notes;
    struct types *types;
    struct side_section *section;
    size_t sections;
    uint64_t hash; /* FNV-1a 64 of the object file */
};

/* Complains when there is no DWARF, or that of another build. */
enum err side_open(struct side *ret_side, const char *path);
void side_close(struct side *side);
