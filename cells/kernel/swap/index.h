/* Sections or symbols of a few cells by name, in memory of the caller. Internal to the swap cell. */
#pragma once
#include "guest/abi/arena.h"
#include "cells/cell.h"

struct index_entry {
    uint32_t name;    /* string */
    uint32_t cell;    /* string: name of the cell that it is in */
    uint32_t ordinal; /* how many of the same name come before it in its cell */
    uint32_t record;
    uint32_t next;
};

struct index {
    uint32_t slots, entries; /* slots: a power of two */
    struct index_entry *entry;
    uint32_t first[]; /* by slot: index of an entry plus one */
};

/* Bytes that an index of so many entries takes. */
size_t index_bytes(size_t entries);
struct index *index_make(void *memory, size_t entries);
void index_add(struct index *index, uint32_t name, uint32_t cell, uint32_t record);
/* The first entry of that name behind `after` (NULL: at all); NULL: none. Newest first. */
const struct index_entry *index_find(const struct index *index, uint32_t name, const struct index_entry *after);
