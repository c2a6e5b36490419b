/* An ELF64 x86-64 file read into tables of sections and symbols. Borrowed pointers in it live until object_close. */
#pragma once
#include <gelf.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include "guest/abi/err.h"

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

struct object {
    const char *path;
    int fd;
    Elf *elf;
    GElf_Ehdr header;
    struct section *section; /* by section header index */
    size_t sections;
    struct symbol *symbol; /* by symbol-table index */
    size_t symbols;
};

/* Opens and validates; prints the reason when it fails. `path` is borrowed. */
enum err object_open(struct object *ret_object, const char *path);
void object_close(struct object *object);

/* FNV-1a 64 of the file, as the guest computes it of an object that arrives. */
enum err object_hash(const struct object *object, uint64_t *ret_hash);

/* Index of the section or 0. */
size_t object_section(const struct object *object, const char *name);

/* Calls `visit` for every relocation of RELA section `rela`, until it returns false; false then. */
bool object_relocations(const struct object *object, size_t rela,
                        bool (*visit)(void *context, const GElf_Rela *relocation), void *context);

/* Prints "PROGRAM: PATH: MESSAGE" and returns `e`, so that the place that knows the cause can say `return complain(...)`. */
enum err complain(enum err e, const char *path, const char *format, ...) __attribute__((format(printf, 3, 4)));
