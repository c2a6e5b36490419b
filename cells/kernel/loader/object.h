/* An object file in memory, checked: after object_open every index and string that the functions below take from it
 * is in range. Knows ELF and the notes of guest/abi/note.h; touches neither arena nor mappings. */
#pragma once
#include "cells/kernel/loader/elf.h"
#include "cells/kernel/loader/loader.h"
#include "guest/abi/note.h"

#define OBJECT_NAME_MAX   127       /* characters of a section's or symbol's name */
#define OBJECT_REGION_MAX 0x1000000 /* bytes of one kind */

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

enum err object_open(const void *data, size_t bytes, struct object *ret_object, struct loader_detail *detail);

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

/* enum arena_section_kind of what is loaded; 0: stays in the file. */
uint32_t object_kind(const struct object *object, const struct elf_section *section);

uint32_t object_relocation_count(const struct elf_section *rela);
void object_relocation(const struct object *object, const struct elf_section *rela, uint32_t index,
                       struct elf_rela *ret_rela);

/* Fills in `detail` with the words up to NULL, one behind the other, and returns `err`. */
enum err object_refuse(struct loader_detail *detail, enum err err, const char *const *words);
#define REFUSE(err, ...) object_refuse(detail, err, (const char *const[]){__VA_ARGS__, NULL})
