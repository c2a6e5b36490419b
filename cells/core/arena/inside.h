/* What the arena's parts share: arena.c keeps records, strings.c their names, index.c the indexes, find.c looks up. */
#pragma once
#include "cells/core/arena/arena.h"

/* ---- arena.c ---- */

#define INDEX_SLOT_BYTES  8
#define STRING_SLOT_BYTES 8

/* Tables and indexes, by enum arena_table and enum arena_area. Constant after arena_init. */
struct area {
    uint8_t *start;
    uint32_t capacity, record_bytes; /* records, bytes or slots; of one */
};
extern struct area arena_areas[AREAS];

/* The layouts of all that the arena has, and its version. Nobody uses them: no swap converts records, so that it has to
 * be refused when a layout is another one in the new build, and it is, since a pointer to them is static data. */
union arena_contents {
    char version[ARENA_VERSION];
    struct arena_header header;
#define X(table, type, stable_bytes, base, most) type table[base];
    ARENA_SHAPES(X)
#undef X
    char cell_slots[ARENA_CELL_SLOTS][INDEX_SLOT_BYTES], symbol_slots[ARENA_SYMBOL_SLOTS][INDEX_SLOT_BYTES],
        page_slots[ARENA_PAGE_SLOTS][INDEX_SLOT_BYTES], string_slots[ARENA_STRING_SLOTS][STRING_SLOT_BYTES],
        archive_slots[ARCHIVE_SLOTS][ARENA_ARCHIVE_SLOT_BYTES];
};
extern const union arena_contents *arena_contents;

/* The record; NULL: `index` is out of range. For lookups while a fault is handled, which must not panic. */
void *arena_peek(enum arena_table table, uint32_t index);
static inline const struct arena_namespace *peek_namespace(struct namespace_ref namespace_)
{
    return arena_peek(ARENA_NAMESPACES, namespace_.index);
}
static inline struct arena_cell *peek_cell(struct cell_ref cell)
{
    return arena_peek(ARENA_CELLS, cell.index);
}
static inline struct arena_section *peek_section(struct section_ref section)
{
    return arena_peek(ARENA_SECTIONS, section.index);
}
static inline struct arena_symbol *peek_symbol(struct symbol_ref symbol)
{
    return arena_peek(ARENA_SYMBOLS, symbol.index);
}
/* Whether the running task may take so many more records, or bytes of strings. */
bool arena_has_room(enum arena_table table, uint32_t more) NEEDS(arena_writer);
/* Counts again how many records of each table are in use. */
void arena_recount(void) NEEDS(arena_writer);
/* Counts a record, or an entry of an index, that is read. */
void arena_visit(void);
/* Whether this CPU is within arena_change(). */
bool arena_changes(void);

/* ---- strings.c ---- */

#define NAMED_TABLES (ARENA_SYMBOLS + 1) /* the first tables; their records have names */
#define NAME_WORD    2                   /* index of the name, in 32-bit words of such a record */

/* Empties the table of strings. */
void strings_init(void) NEEDS(arena_writer);
/* Rebuilds the table of strings and its counts from the names of all records. */
void strings_rebuild(void) NEEDS(arena_writer);
/* The offset of a string; 0: no record has that name. */
uint32_t string_find(const char *text);
/* Adds a reference to a string, and the string if need be. Returns its offset; 0: it is empty, or the table is full. */
uint32_t string_intern(const char *text) NEEDS(arena_writer);
/* Removes a reference, and with the last one the string. */
void string_release(uint32_t offset) NEEDS(arena_writer);

/* ---- index.c ---- */

enum index { INDEX_CELLS, INDEX_SYMBOLS, INDEX_PAGES, INDEXES };

struct index_table {
    uint64_t *slot;
    uint32_t slots;
};
extern struct index_table index_table[INDEXES];

/* Empties all indexes. */
void index_init(void) NEEDS(arena_writer);
/* Marks all indexes as corrupt: lookups walk the tables until the next arena_change() has rebuilt the indexes. From any
 * context. */
void index_suspect(void);
bool index_is_suspect(void);

/* Adds an entry in front of others of the same key. False: the index is full, nothing changed. */
bool index_put(enum index index, uint32_t key, uint32_t record) NEEDS(arena_writer);
/* Removes the entry. If it is missing, marks the indexes as corrupt. */
void index_remove(enum index index, uint32_t key, uint32_t record) NEEDS(arena_writer);

/* Iterates over the records of `key`: start with *place = 0; returns 0 at the end. The caller checks each record: it
 * may have another name or be free. */
uint32_t index_next(enum index index, uint32_t key, uint32_t *place);

/* ---- find.c ---- */

/* Rebuilds strings and indexes from the tables. Within arena_change(). */
void find_rebuild(void);
/* Adds the record's entries to the indexes, once it is sealed; removes them, before it is freed. */
void find_add(enum arena_table table, uint32_t index) NEEDS(arena_writer);
void find_drop(enum arena_table table, uint32_t index) NEEDS(arena_writer);
