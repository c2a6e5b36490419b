/* What a datum is called in all versions of a cell: its function and name; where that is not enough, its unit too. */
#pragma once
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include "cells/tool/hash.h"

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
 * made of the bytes of file `path`: nothing tells which of them is which in another version. False: no memory. */
bool identify_data(struct datum *data, size_t count, const char *path, struct names *names);

/* The name by which a section's pair is found in another version: that of its only datum or function, whatever place
 * and number the compiler gave it. `data`: those in it; `function`: that it consists of, or NULL. Returns `name` where
 * there is no better one. */
const char *identity_of_section(struct names *names, const char *name, const struct datum *data, size_t count,
                                const char *function);
/* Whether a section of that name is called by the identity of its only datum. */
bool identity_is_name(const char *section, const struct datum *data, size_t count);
