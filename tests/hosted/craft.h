/* Object files made for tests: a description of a cell's object, valid or not, and the file made from it. */
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
    uint32_t access; /* 0: not exported; else it has a note among the exports */
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

/* An empty cell. The functions below add a part, and return its number, from 1. */
struct craft craft_cell(const char *name, uint32_t version);
uint32_t craft_section(struct craft *craft, const char *name, uint32_t type, uint64_t flags, uint32_t bytes);
/* A function of 16 bytes in a section of its own; `access` 0: local. */
uint32_t craft_function(struct craft *craft, const char *name, uint32_t access);
/* Static data of `bytes` bytes with its note. */
uint32_t craft_data(struct craft *craft, const char *name, uint32_t bytes, uint64_t type_hash);
uint32_t craft_import(struct craft *craft, const char *name);
void craft_relocate(struct craft *craft, uint32_t section, uint64_t offset, uint32_t type, uint32_t symbol,
                    int64_t addend);
/* A call of `symbol` within the function `from`, at its offset 8 * n. */
void craft_call(struct craft *craft, uint32_t from, unsigned n, uint32_t symbol);

/* Seals a file that was changed, as `cell make` does; one that is too short for it stays as it is. */
void craft_seal(uint8_t *file, size_t bytes);
/* The file, for the caller to free; NULL: larger than CRAFT_BYTES_MAX. */
uint8_t *craft_write(const struct craft *craft, size_t *ret_bytes);
/* Gives the file to the loader. Returns its object record; none: refused. */
struct object_ref craft_keep(const struct craft *craft);
/* The archive at `path` with one more member for each craft, for the caller to free; NULL: it cannot be read. */
uint8_t *craft_archive(const char *path, const struct craft *craft, size_t crafts, size_t *ret_bytes);
