/* What the arena's parts share: arena.c keeps records, strings.c their names, index.c and find.c what they are found by. */
#pragma once
#include "cells/kernel/arena/arena.h"

/* ---- arena.c ---- */

/* The record, or NULL: for lookups on the way of a fault, which must not fault again on a bad index. */
void *arena_peek(enum arena_table table, uint32_t index);
void arena_visit(void);   /* a record, or an entry of an index, is looked at */
bool arena_changes(void); /* this CPU is within arena_change() */

/* ---- strings.c ---- */

/* Tables whose records have a name, and where it stands. */
#define NAMED_TABLES (ARENA_SYMBOLS + 1)
#define NAME_WORD    2

void strings_init(void) NEEDS(arena_writer);
void strings_rebuild(void) NEEDS(arena_writer); /* from the names that records have */
uint32_t string_find(const char *text);         /* 0: no record has that name */
/* The string's place, with one more reference; 0: it is empty, or the table is full. */
uint32_t string_intern(const char *text) NEEDS(arena_writer);
void string_release(uint32_t offset) NEEDS(arena_writer);

/* ---- index.c ---- */

enum index { INDEX_CELLS, INDEX_SYMBOLS, INDEX_PAGES, INDEXES };

struct index_table {
    uint64_t *slot;
    uint32_t slots;
};
extern const struct index_table index_table[INDEXES];

void index_init(void) NEEDS(arena_writer);
/* A lookup has met something that cannot be: nothing that is missing counts as such until arena_change() has had all
 * indexes made anew. May be called from anywhere. */
void index_suspect(void);
bool index_is_suspect(void);

/* In front of others of the same key. False: the index is full. */
bool index_put(enum index index, uint32_t key, uint32_t record) NEEDS(arena_writer);
void index_remove(enum index index, uint32_t key, uint32_t record) NEEDS(arena_writer);

/* Goes through the records of `key`, from *place = 0 on; 0: no more. What it gives must be looked at: it may be another
 * one's, or free. */
uint32_t index_next(enum index index, uint32_t key, uint32_t *place);

/* ---- find.c ---- */

void find_rebuild(void); /* of what the tables say, while nobody else changes them */
/* Whatever the record is found by; called when it was sealed, and before it is freed. */
void find_add(enum arena_table table, uint32_t index) NEEDS(arena_writer);
void find_drop(enum arena_table table, uint32_t index) NEEDS(arena_writer);
