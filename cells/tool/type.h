/* The types of a file's functions and data, from DWARF. */
#pragma once
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include "cells/tool/hash.h"
#include "guest/abi/err.h"

struct types;

/* Indexes the functions and variables of the file. NULL: no memory or no readable DWARF; says why. */
struct types *types_open(const char *path);
void types_close(struct types *types);

/* Of an external function or variable. 0: `symbol` has no description (assembly, or made up by the compiler). */
uint64_t types_hash(const struct types *types, const char *symbol);
/* Of an external function, with all that its arguments and result lead to. 0: no function, or not described. */
uint64_t types_deep_hash(const struct types *types, const char *function);

/* Its description: a function, or a variable. */
bool types_find(const struct types *types, const char *symbol, Dwarf_Die *ret_die);

/* The static data of section `section` of the file, in the order of their offsets, those of functions included. NULL
 * and 0: none, or not every byte is known: what is between two and behind the last is less than `align`. */
const struct datum *types_data(const struct types *types, size_t section, uint64_t bytes, uint64_t align,
                               size_t *ret_count);
/* The function `name` that section `section` of the file begins with. */
bool types_function(const struct types *types, size_t section, const char *name, Dwarf_Die *ret_die);
const struct tags *types_tags(const struct types *types);
