/* Hashes of the types of functions and variables, from DWARF: FNV-1a of a canonical text. Two hashes are equal when
 * code compiled against one declaration can use the other's definition.
 *
 * In the text: typedefs are seen through; base types are encoding and size; qualifiers of what a pointer leads to
 * count, those of a parameter or result itself and `restrict` do not; a structure by value is its layout with member
 * names and offsets; behind a pointer a named structure is its tag alone, so that it may be opaque to one side. */
#pragma once
#include <stdint.h>
#include "guest/abi/err.h"

struct types;

/* Indexes the external functions and variables of the file. NULL: no memory or no readable DWARF; says why. */
struct types *types_open(const char *path);
void types_close(struct types *types);

/* 0: `symbol` has no description (assembly, or made up by the compiler). */
uint64_t types_hash(const struct types *types, const char *symbol);
