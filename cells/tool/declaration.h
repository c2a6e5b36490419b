/* What a cell's source declares: the lines that the macros of cells/cell.h leave in section NOTE_DECLARATIONS. */
#pragma once
#include "cells/tool/elf_file.h"
#include "guest/abi/note.h"

struct declared_export {
    const char *symbol;
    enum access_level access;
};

/* INVARIANT_...(struct TAG, field, other). */
struct declared_invariant {
    enum note_rule_what what;
    const char *tag, *field, *other;
};

/* SET_ONCE(NAME), SOFT(NAME). */
struct declared_datum {
    enum note_datum what;
    const char *name;
};

enum declared_role { ROLE_INIT, ROLE_MAIN, ROLE_TRANSFER, ROLE_DONE, ROLES };

struct declaration {
    char name[NOTE_NAME_BYTES]; /* empty: no cell line */
    uint32_t version;
    enum cell_kind kind;
    uint32_t flags;          /* of NOTE_* */
    const char *role[ROLES]; /* function name or NULL */
    struct declared_export *export;
    size_t exports;
    struct declared_invariant *invariant;
    size_t invariants;
    struct declared_datum *datum;
    size_t data;
    char *text; /* owns the strings above */
};

extern const char *const declaration_role[ROLES];

/* Flags of note.h by their words; ends with a NULL word. */
extern const struct declared_flag {
    const char *word;
    uint32_t flag;
} declared_flags[];

/* The words of enum cell_kind and enum access_level; "?" for other numbers. */
const char *declaration_kind(uint32_t kind);
const char *declaration_access(uint32_t access);
/* "set_once", "soft", or nothing. */
const char *declaration_datum(uint32_t datum);

/* Reads the declaration of an object, which has exactly one CELL line. Prints what is wrong; *ret_declaration is then
 * untouched. */
enum err declaration_read(struct declaration *ret_declaration, const struct elf_file *object);
void declaration_done(struct declaration *declaration); /* accepts zeros */
