/* A build folder: the cell objects in its folder cells/, which may be in its cells.archive. */
#pragma once
#include "cells/tool/elf_file.h"
#include "cells/tool/notes.h"

/* A cell of a build. */
struct member {
    char *path;
    struct elf_file object;
    struct notes notes;
    uint64_t hash;
    bool ships; /* it is in the archive, or there is none: else it is a cell of tests, say, that happens to be built */
};
struct build {
    struct member *member; /* sorted by the names of the cells */
    size_t members, capacity;
    struct member image; /* the nano_core's description; zeros: there is none */
};

/* Reads all objects NAME.o of cells NAME. Prints what is wrong; close it in any case. */
enum err build_read(struct build *ret_build, const char *folder);
void build_close(struct build *build); /* accepts zeros */
/* NULL: there is no cell of that name. */
const struct member *build_find(const struct build *build, const char *cell);
