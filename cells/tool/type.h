/* The types of a file's functions and data, from DWARF. */
#pragma once
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include "cells/tool/hash.h"
#include "guest/abi/err.h"
#include "introspect/base/own.h"

struct types;
struct elf_file;

/* Indexes the functions and variables of the file. NULL: no memory, or no DWARF that is readable and understood, which
 * was reported. */
struct types *types_open(const struct elf_file *file);
void types_close(struct types *types); /* accepts NULL */
OWNABLE(types, types_close)

enum type_known {
    TYPE_KNOWN,
    TYPE_MISSING, /* nothing describes it */
    TYPE_PARTIAL, /* a part of its type is missing, or not understood */
    TYPE_DIFFERS, /* two units say different things of it */
};

struct types_of {
    uint64_t hash, deep; /* deep: of a function, with all that its arguments and result refer to; else 0 */
    enum type_known known;
};

/* Hashes the type of an external function or variable; of one that compilers call by themselves, or that
 * TYPED(symbol) describes, also without a description of its own. Hashes are 0 unless it is known. */
struct types_of types_hash(const struct types *types, const char *symbol);

/* Finds the description of an external function or variable. */
bool types_find(const struct types *types, const char *symbol, Dwarf_Die *ret_die);

/* The static data of a section of the file, those of functions included, in the order of their offsets; borrowed.
 * NULL and 0: there are none, or they leave a gap of `align` bytes or more. */
const struct datum *types_data(const struct types *types, size_t section, uint64_t bytes, uint64_t align,
                               size_t *ret_count);
/* The data of a section that are described, gaps or not. */
const struct datum *types_listed(const struct types *types, size_t section, size_t *ret_count);

/* A function, and where it stands in its source; borrowed. */
struct described {
    const char *unit, *function; /* function: that it is nested in; NULL: none */
    const char *name;
    Dwarf_Die die;
};

/* Finds the description of the function that begins there in the file, where `symbol` is. */
bool types_function(const struct types *types, size_t section, uint64_t offset, const char *symbol,
                    struct described *ret_function);
/* Whether code there is of a unit that is described. */
bool types_describe_code(const struct types *types, size_t section, uint64_t offset);
const struct tags *types_tags(const struct types *types);
