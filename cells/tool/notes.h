/* The notes of a finished cell object, read back and checked. */
#pragma once
#include "cells/tool/object.h"
#include "guest/abi/note.h"

struct notes {
    struct note_cell cell;
    struct note_symbol *export, *import; /* owned; every symbol index exists */
    size_t exports, imports;
};

enum err notes_read(struct notes *ret_notes, const struct object *object);
void notes_done(struct notes *notes);
