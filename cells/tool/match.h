/* Compares two types field by field, and writes the moves that bring a datum of the one over into a datum of the other.
 * What would be guessed is refused, with the field's name:
 *
 *   added        keeps the initial value of the new object; so do the elements that an array has more
 *   removed      refused unless dropped by name, since state is lost
 *   renamed      refused unless said; a field gone and one of the same type added look like that
 *   reordered    copied
 *   widened      extended by the sign of the old type; bit fields too
 *   narrowed, of another sign, pointer for integer, bool for integer, of another tag      refused
 *   enum         copied when each old name has the same value; refused when one has another, or is gone
 *   union        copied when it is the same to its end; else refused
 *   pointer      copied when all that it leads to is the same (the deep hash); else refused
 *   array        moved element by element; refused when it is shorter, or has other dimensions */
#pragma once
#include "cells/tool/tags.h"
#include "guest/abi/recipe.h"
#include <stdbool.h>
#include <stdint.h>

/* What somebody says of a field, by its path: "totals.slot[].messages", "function:variable". */
struct match_word {
    const char *path;
    const char *to; /* the field's new name; NULL: it is dropped */
    bool used;
};

/* A remark on a field; both are owned. */
struct match_line {
    char *field, *text;
};
struct match_lines {
    struct match_line *line;
    size_t lines, capacity;
};

struct match_moves {
    struct recipe_move *move;
    size_t moves, capacity;
};

struct match {
    const struct tags *old_tags, *new_tags;
    struct match_word *word; /* borrowed */
    size_t words;
    struct match_lines refused, changed; /* owned: match_done */
    bool failed;                         /* no memory */
    char path[512];                      /* of the field that is looked at */
    size_t path_bytes;
};

void match_done(struct match *match);

/* Of the variables (or members, or arrays) `old` and `new_`, whose paths are in `match`. */
void match_types(struct match *match, Dwarf_Die *old, Dwarf_Die *new_, struct match_moves *moves);

/* A path that grows; what does not fit is cut off. Gives what match_path_back takes. */
size_t match_path(struct match *match, const char *between, const char *name);
void match_path_back(struct match *match, size_t bytes);
/* What is said of `name` in the path, or with "" of the path itself; NULL: nothing. */
struct match_word *match_word(struct match *match, const char *name);

void match_say(struct match *match, struct match_lines *lines, const char *format, ...)
    __attribute__((format(printf, 3, 4)));
