/* Hashes of types: FNV-1a of a canonical text. Two hashes are equal when code compiled against one declaration can use
 * the other's definition.
 *
 * In the text: typedefs are seen through; base types are encoding and size; qualifiers of what a pointer leads to
 * count, those of a parameter or result itself and `restrict` do not; a structure or union by value is its layout with
 * member names and offsets (those of bit fields in bits), an enumeration its names and values; behind a pointer a named
 * structure is its tag alone, so that it may be opaque to one side.
 *
 * The deep text of a datum goes on behind pointers: each named type that they lead to is written once, in the order in
 * which they are met, so that circles end. A type that is nowhere defined is its tag; so is everything behind a pointer
 * to a function, since what a function is called with is no state of the pointer's holder. */
#pragma once
#include <elfutils/libdw.h>
#include <stddef.h>
#include <stdint.h>
#include "cells/tool/tags.h"

/* With `tags` the deep one: what its callers hand over and get back may hold state. 0: no memory. */
uint64_t hash_function(Dwarf_Die *function, const struct tags *tags);
/* As others declare it: `extern int table[]` is the same as `int table[8]`. */
uint64_t hash_variable(Dwarf_Die *variable);

/* Of the type that `holder` (a variable, member, array) names; deep with `tags`. 0: no memory. */
uint64_t hash_type(Dwarf_Die *holder, const struct tags *tags);
/* Of a structure, union or enumeration itself: its tag; its layout, without what pointers lead to. */
uint64_t hash_tag(Dwarf_Die *type);
uint64_t hash_layout(Dwarf_Die *type);
/* Deep, of what a pointer type leads to. 0: no memory. */
uint64_t hash_behind(Dwarf_Die *pointer, const struct tags *tags);

/* A variable that lies in a section of the file. */
struct datum {
    const char *name;
    const char *function, *unit; /* that it is in; NULL: outside of functions */
    size_t section;
    uint64_t offset, bytes;
    Dwarf_Die die;
};

/* Of the data of one section, in the order of their offsets; a name counts where there are several. With `tags` the deep
 * one. 0: no memory. */
uint64_t hash_data(const struct datum *data, size_t count, const struct tags *tags);
