/* A finished cell object together with its DWARF, which `cell make` leaves in a file of the same name in the folder
 * beside it: build/cells/NAME.o and build/cells.debug/NAME.o. */
#pragma once
#include "cells/tool/notes.h"
#include "cells/tool/elf_file.h"
#include "cells/tool/type.h"

/* A section of static data, or of a function. */
struct side_section {
    size_t index; /* in the cell object */
    const char *name;
    uint64_t bytes;
    struct note_data note;
    const struct datum *data; /* in it; NULL: their types are not known */
    size_t count;
};

struct side {
    const char *path; /* borrowed */
    char *debug;
    struct elf_file object;
    struct notes notes;
    struct types *types;
    struct side_section *section, *function; /* owned; a function that has a section of its own has no data */
    size_t sections, functions;
    uint64_t hash; /* object_hash() of the file */
};

/* Whether there is a file with the DWARF of the object. */
bool side_has_types(const char *path);
/* Opens an object and its DWARF. Prints what is wrong: no DWARF, or that of another build. *ret_side is then
 * untouched. */
enum err side_open(struct side *ret_side, const char *path);
void side_close(struct side *side); /* accepts zeros */
