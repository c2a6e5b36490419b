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

/* Whether `die` is of a kind that has a tag. */
bool tags_has(Dwarf_Die *die);
/* Takes a definition up and passes over the rest; false: no memory. */
bool tags_add(struct tags *tags, Dwarf_Die *die);
void tags_sort(struct tags *tags);
void tags_done(struct tags *tags);
/* In place of a declaration the file's first definition of that tag; false: there is none. Definitions stay. */
bool tags_define(const struct tags *tags, Dwarf_Die *die);
