/* An ELF64 x86-64 file read into tables of sections and symbols. Borrowed pointers in it live until elf_file_close. */
#pragma once
#include <gelf.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include "guest/abi/err.h"
#include "introspect/base/own.h"

struct section {
    const char *name;
    GElf_Shdr header;
    const uint8_t *data; /* NULL for sections without contents */
    size_t bytes;        /* of `data` */
};

struct symbol {
    const char *name;
    GElf_Sym sym;
};

struct elf_file {
    const char *path;
    uint8_t *data; /* all of it, read once: who replaces the file meanwhile changes nothing */
    size_t bytes;
    Elf *elf;
    GElf_Ehdr header;
    struct section *section; /* by section header index */
    size_t sections;
    struct symbol *symbol; /* by symbol-table index */
    size_t symbols;
};

/* Reads and validates; prints the reason when it fails, and *ret_object is untouched. `path` is borrowed. */
enum err elf_file_open(struct elf_file *ret_object, const char *path);
void elf_file_close(struct elf_file *object); /* accepts zeros */

/* The hash of the file, as the guest computes it when an object arrives. */
uint64_t elf_file_hash(const struct elf_file *object);

/* Returns the index of the first section of that name; 0: there is none. */
size_t elf_file_section(const struct elf_file *object, const char *name);

/* Calls `visit` for each relocation of RELA section `rela` until it returns false. Returns what `visit` returned
 * last, true for an empty section. */
bool elf_file_relocations(const struct elf_file *object, size_t rela,
                          bool (*visit)(void *context, const GElf_Rela *relocation), void *context);

/* Prints "PROGRAM: PATH: MESSAGE" and returns `e`, so that the place that knows the cause can write `return
 * complain(...)`. */
enum err complain(enum err e, const char *path, const char *format, ...) __attribute__((format(printf, 3, 4)));
