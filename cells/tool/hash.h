/* Hashes of types: FNV-1a of a canonical text. Two hashes are equal when code compiled against one declaration can
 * use the other's definition. In the text: typedefs are seen through; base types are encoding and size; qualifiers
 * of what a pointer refers to count, those of a parameter or result itself and `restrict` do not; a structure or
 * union by value is its layout with member names and offsets (those of bit fields in bits), an enumeration its names
 * and values; behind a pointer a named structure is its tag alone, so that it may be opaque to one side. The deep
 * text of a datum includes what pointers refer to: each named type that they refer to is written once, at the first
 * pointer to it, so that cycles end. A type that is nowhere defined is its tag; so is everything behind a pointer to
 * a function, since the arguments of a function are no state of the pointer's holder. A hash is 0 where a part of the
 * type is missing or not understood, or memory is out. */
#pragma once
#include <elfutils/libdw.h>
#include <stddef.h>
#include <stdint.h>
#include "cells/tool/tags.h"

/* Hashes a function's type. With `tags` the deep hash: arguments and results may hold state. */
uint64_t hash_function(Dwarf_Die *function, const struct tags *tags);
/* Hashes a variable's type as others may declare it: `extern int table[]` is the same as `int table[8]`. */
uint64_t hash_variable(Dwarf_Die *variable, const struct tags *tags);
/* Hashes the type of a function that compilers call without declaring it. 0: it is none of these. */
uint64_t hash_of_compiler(const char *name);

/* Hashes the type that `holder` (a variable, member, array) names; deep with `tags`. */
uint64_t hash_type(Dwarf_Die *holder, const struct tags *tags);
/* Hash the tag of a structure, union or enumeration, or its layout without the targets of pointers. */
uint64_t hash_tag(Dwarf_Die *type);
uint64_t hash_layout(Dwarf_Die *type);
/* The deep hash of a pointer type's target. */
uint64_t hash_behind(Dwarf_Die *pointer, const struct tags *tags);

/* A variable that lies in a section of the file, or a member of one that the compiler has taken apart. */
struct datum {
    const char *name;
    const char *function, *unit; /* that it is in; NULL: outside of functions */
    const char *file;            /* that it belongs to: the unit, as in all versions; NULL: to the whole cell */
    bool local;                  /* to its file, which is one of several */
    const char *identity;        /* what it is called in all versions: [UNIT:][FUNCTION.]NAME */
    size_t section;
    uint64_t offset, bytes;
    uint64_t form; /* how the compiler stores it, if not as its type says; else 0 */
    uint64_t salt; /* of a datum that has its identity in common with others: of this file's contents; else 0 */
    Dwarf_Die die;
};

/* Hashes the types of all data of a section, which are in the order of their offsets. `named`: the section is called by
 * the only datum's identity; else identities count. The file's `tags`; `deep`: follows pointers. */
uint64_t hash_data(const struct datum *data, size_t count, bool named, const struct tags *tags, bool deep);
