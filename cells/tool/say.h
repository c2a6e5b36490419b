/* What a cell's source says of itself: the lines that the macros of cells/cell.h leave in .delias.say. */
#pragma once
#include "cells/tool/object.h"
#include "guest/abi/note.h"

struct say_export {
    const char *symbol;
    enum access_level access;
};

enum say_role { SAY_INIT, SAY_MAIN, SAY_TRANSFER, SAY_DONE, SAY_ROLES };

struct say {
    char name[NOTE_NAME_BYTES]; /* empty: no cell line */
    uint32_t version;
    enum cell_kind kind;
    uint32_t flags;              /* of NOTE_* */
    const char *role[SAY_ROLES]; /* function name or NULL */
    struct say_export *export;
    size_t exports;
    char *text; /* owns the strings above */
};

extern const char *const say_role_name[SAY_ROLES];

/* Flags of note.h by their words; the last one has none. */
extern const struct say_flag {
    const char *word;
    uint32_t flag;
} say_flag[];

/* Words for enum cell_kind and enum access_level, "?" for other numbers. */
const char *say_kind_word(uint32_t kind);
const char *say_access_word(uint32_t access);

/* Reads the lines of one cell: exactly one cell line. */
enum err say_read(struct say *ret_say, const struct object *object);
void say_done(struct say *say);
