/* Object files made up for tests: what a cell's object may say, sound or not, and the bytes that say so. */
#pragma once
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include "guest/abi/note.h"

enum { CRAFT_SECTIONS = 12, CRAFT_SYMBOLS = 24, CRAFT_RELOCATIONS = 64, CRAFT_BYTES_MAX = 32 * 1024 };

struct craft_section {
    const char *name;
    uint32_t type, bytes; /* of ELF; contents are 0x90, or what `contents` has */
    uint64_t flags, align;
    const void *contents;
    bool noted; /* its type is in a note */
    uint64_t type_hash, deep_hash;
};

struct craft_symbol {
    const char *name;
    uint32_t section; /* from 1: of craft.section; 0: undefined */
    uint32_t value, size;
    uint8_t info;
    bool imported;   /* has a note among the imports */
    uint32_t access; /* not 0: has one among the exports */
    uint64_t type_hash, deep_hash;
};

struct craft_relocation {
    uint32_t section, symbol; /* from 1 */
    uint32_t type;
    uint64_t offset;
    int64_t addend;
};

struct craft {
    struct note_cell cell;
    size_t sections, symbols, relocations;
    struct craft_section section[CRAFT_SECTIONS];
    struct craft_symbol symbol[CRAFT_SYMBOLS];
    struct craft_relocation relocation[CRAFT_RELOCATIONS];
    const void *pointers; /* what NOTE_POINTERS says; NULL: there is none */
    size_t pointer_bytes;
};

/* A cell without anything; its parts, each numbered from 1. */
struct craft craft_cell(const char *name, uint32_t version);
uint32_t craft_section(struct craft *craft, const char *name, uint32_t type, uint64_t flags, uint32_t bytes);
/* Functions of their own section, which take 16 bytes; `access` 0: local. */
uint32_t craft_function(struct craft *craft, const char *name, uint32_t access);
/* Static data of `bytes` bytes with its note. */
uint32_t craft_data(struct craft *craft, const char *name, uint32_t bytes, uint64_t type_hash);
uint32_t craft_import(struct craft *craft, const char *name);
void craft_relocate(struct craft *craft, uint32_t section, uint64_t offset, uint32_t type, uint32_t symbol,
                    int64_t addend);
/* A call of `symbol` within the function `from`, at its offset 8 * n. */
void craft_call(struct craft *craft, uint32_t from, unsigned n, uint32_t symbol);

/* The file; NULL: larger than CRAFT_BYTES_MAX. To be freed. */
uint8_t *craft_write(const struct craft *craft, size_t *ret_bytes);
/* The same, given to the loader; 0: not taken. */
uint32_t craft_keep(const struct craft *craft);
/* The archive at `path` with one more member for each craft, so named; NULL when it cannot be read. To be freed. */
uint8_t *craft_archive(const char *path, const struct craft *craft, size_t crafts, size_t *ret_bytes);
