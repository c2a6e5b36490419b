/* What a datum or function is called in all versions of a cell: the function that it is in, and its name; where that is
 * not enough, its unit too. */
#pragma once
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include "cells/tool/hash.h"

struct elf_file;

/* Strings that are made here. */
struct names {
    char **name;
    size_t names, capacity;
    bool failed; /* no memory */
};

/* Appends `a` `b` `c`; borrowed until names_done. "" and `failed`: no memory. */
const char *names_join(struct names *names, const char *a, const char *b, const char *c);
void names_done(struct names *names); /* accepts zeros */

/* Gives each datum its identity. Those that share one, as variables of two blocks of a function do, get a salt that is
 * made of the bytes of the file: nothing tells which of them is which in another version. False: no memory. */
bool identify_data(struct datum *data, size_t count, const struct elf_file *file, struct names *names);

/* The name by which a section's pair is found in another version: that of its only datum or function, whatever place
 * and number the compiler gave it. Both return `name` where there is no better one. `symbol`: the function's. */
const char *identity_of_data(struct names *names, const char *name, const struct datum *data);
const char *identity_of_function(struct names *names, const char *name, const char *symbol,
                                 const struct datum *function);
/* The name of a section that is taken for the pair of one with the same contents alone, of which `hash` is made. */
const char *identity_of_several(struct names *names, const char *name, uint64_t hash);
/* Whether a section of that name is called by the identity of its only datum. */
bool identity_is_name(const char *section, const struct datum *data, size_t count);
