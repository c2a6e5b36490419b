/* Sections or symbols of a few cells by name, in memory of the caller. Internal to the plan cell. */
#pragma once
#include "guest/abi/arena.h"
#include "cells/cell.h"

struct index_entry {
    uint32_t name;    /* string */
    uint32_t cell;    /* string: name of the cell that it is in */
    uint32_t ordinal; /* how many of the same name come before it in its cell */
    uint32_t record;  /* index of the section or symbol */
};

struct index {
    uint32_t slots, entries;
    struct index_entry *entry; /* in the order in which they were added */
    uint32_t slot[];           /* of a hash table: index of an entry plus one; 0: empty */
};

/* Bytes that an index of so many entries takes. */
size_t index_bytes(size_t entries);
struct index *index_make(void *memory, size_t entries);
/* Adds an entry; the index was made for as many as are added. */
void index_add(struct index *index, uint32_t name, uint32_t cell, uint32_t record);
/* Iterates over the entries of that name, the first that was added first: start with *place = 0. NULL: no more. */
const struct index_entry *index_find(const struct index *index, uint32_t name, uint32_t *place);
