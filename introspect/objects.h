/* What an archive of cells says of them before a guest has loaded any: names, sections, symbols, texts. Reads it as
 * hostile input: what is malformed is not there. */
#pragma once
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include "guest/abi/arena.h"
#include "guest/abi/err.h"
#include "introspect/base/own.h"

struct objects;
void objects_free(struct objects *objects); /* accepts NULL */
OWNABLE(objects, objects_free)

/* Reads an archive. ERR_NOT_FOUND, ERR_RANGE, ERR_IO: it cannot be read; ERR_CORRUPT: it has no cell; ERR_NOMEM. */
enum err objects_read(const char *path, struct objects **ret_objects);

/* The name of cell `index`, from 0 on, as guests load it: other versions and builds of a cell, which are there for
 * swaps, are left out. NULL: there are no more. */
const char *objects_cell(const struct objects *objects, size_t index);
/* The index of a cell, or -1. */
int objects_find(const struct objects *objects, const char *name);

/* Calls `visit` with each section that the guest loads, until it returns true. Returns whether it has. */
bool objects_each_section(const struct objects *objects, size_t cell,
                          bool (*visit)(void *context, const char *name, enum arena_section_kind kind), void *context);
/* The bytes of a function or exported datum of a cell, or of any (cell -1), to the section's end if it has no size.
 * 0: there is none. */
uint64_t objects_symbol_bytes(const struct objects *objects, int cell, const char *name);
/* Whether any cell has the text, up to a NUL or to a part that is filled in ("%u"). */
bool objects_have_text(const struct objects *objects, const char *text, size_t bytes);

/* ---- one file ---- */

struct object_facts {
    char name[32]; /* of the cell */
    uint32_t version;
    uint64_t hash; /* as in struct arena_object */
    uint64_t bytes;
    uint64_t text_bytes, rodata_bytes, data_bytes; /* of what the guest loads */
    unsigned functions;                            /* sections of code */
};

/* What an object file says of its cell. False: it is none. */
bool objects_describe(const char *path, struct object_facts *ret_facts);
