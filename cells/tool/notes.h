/* The notes of a finished cell object, read back and checked. */
#pragma once
#include "cells/tool/object.h"
#include "guest/abi/note.h"

struct notes {
    struct note_cell cell;
    struct note_symbol *export, *import; /* owned; every symbol index exists */
    size_t exports, imports;
    struct note_data *data; /* owned; every section exists, in ascending order */
    size_t datas;
    struct note_pointers *pointers; /* owned, NULL: none; and its parts: indices, sections and names exist */
    const struct note_shape *shape;
    const struct note_field *field;
    const struct note_root *root;
    const char *names;
};

enum err notes_read(struct notes *ret_notes, const struct object *object);
void notes_done(struct notes *notes);

/* What is said of section `section`; NULL: nothing. */
const struct note_data *notes_data(const struct notes *notes, size_t section);
