/* The named structures, unions and enumerations that a file defines, found by their tags. */
#pragma once
#include <elfutils/libdw.h>
#include <stdbool.h>
#include <stddef.h>

struct tag {
    const char *name;
    int kind; /* DW_TAG_structure_type and the like */
    Dwarf_Die die;
};

struct tags {
    struct tag *entry; /* owned; sorted by tags_sort */
    size_t entries, capacity;
};

/* Whether `die` is a structure, union or enumeration. */
bool tags_has(Dwarf_Die *die);
/* Adds `die` if it defines a tag. False: no memory. */
bool tags_add(struct tags *tags, Dwarf_Die *die);
void tags_sort(struct tags *tags);
void tags_done(struct tags *tags);
/* Replaces a declaration by the file's first definition of that tag; a definition is unchanged. False: there is
 * none. */
bool tags_define(const struct tags *tags, Dwarf_Die *die);
