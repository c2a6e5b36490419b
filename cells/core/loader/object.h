/* An object file in memory, checked. Invariant: after object_open every index and string that the functions below take
 * from it is in range. Knows ELF and the notes of guest/abi/note.h; touches neither arena nor mappings. */
#pragma once
#include "cells/core/loader/loader.h"
#include "guest/abi/elf.h"
#include "guest/abi/note.h"
#include "guest/abi/object.h"

struct object {
    const uint8_t *data;
    size_t bytes;
    uint64_t section_table;
    uint32_t sections, symbols;
    struct elf_section names, strings, symbol_table;
    uint32_t symbol_table_index;
    struct note_cell cell;
    uint64_t exports, imports, data_notes; /* offsets in the file */
    uint32_t export_count, import_count, data_note_count;
    uint64_t pointers; /* offset of NOTE_POINTERS; 0: there is none */
};

/* Checks the whole file, and describes it. The bytes are borrowed and must not change. After an error
 * ret_object is untouched. */
enum err object_open(const void *data, size_t bytes, struct object *ret_object, struct report *report);

/* object_hash() of a file, for all parts of the loader. */
uint64_t object_identity(const void *data, size_t bytes);

/* The functions below need an index below `sections` or `symbols`. Names are borrowed from the file; "" when memory was
 * corrupted since object_open. */
void object_section(const struct object *object, uint32_t index, struct elf_section *ret_section);
const char *object_section_name(const struct object *object, const struct elf_section *section);
void object_symbol(const struct object *object, uint32_t index, struct elf_symbol *ret_symbol);
const char *object_symbol_name(const struct object *object, const struct elf_symbol *symbol);
void object_export(const struct object *object, uint32_t index, struct note_symbol *ret_symbol);
/* The note on symbol `symbol` among the exports; access 0: not exported. */
struct note_symbol object_export_of(const struct object *object, uint32_t symbol);
/* The same among the imports; symbol 0: not imported by a note. */
struct note_symbol object_import_of(const struct object *object, uint32_t symbol);
/* The note on the type of section `section`; hashes 0: not known. */
struct note_data object_data_of(const struct object *object, uint32_t section);

/* The enum arena_section_kind of a section that is loaded; 0: it is not. */
uint32_t object_kind(const struct object *object, const struct elf_section *section);

/* How many relocations the section `rela` has, and number `index` of them. */
uint32_t object_relocation_count(const struct elf_section *rela);
void object_relocation(const struct object *object, const struct elf_section *rela, uint32_t index,
                       struct elf_rela *ret_rela);
