/* The notes of a finished cell object, read back and checked. */
#pragma once
#include "cells/tool/elf_file.h"
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

/* Reads and checks the notes of an object; prints what is wrong. *ret_notes is then untouched. */
enum err notes_read(struct notes *ret_notes, const struct elf_file *object);
void notes_done(struct notes *notes); /* accepts zeros */

/* The note on section `section`; NULL: there is none. */
const struct note_data *notes_data(const struct notes *notes, size_t section);
