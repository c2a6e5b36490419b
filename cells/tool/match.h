/* Compares two types field by field, and writes the moves that bring a datum of the one over into a datum of the other.
 * Nothing is guessed; what is refused is reported with the field's name:
 *
 *   added        keeps the initial value of the new object; so do the elements that an array has more
 *   removed      the swap is refused if it is not zero then, unless dropped by name, since its state would be lost
 *   renamed      refused unless its new name is given; suspected when a field is missing and one of its type is new
 *   reordered    copied
 *   widened      extended by the sign of the old type; bit fields too
 *   narrowed, or of another sign: copied; the swap is refused if the value does not fit
 *   pointer for integer, bool for integer, of another tag: refused
 *   enum         copied when no name has another value; if names are gone, the swap is refused if the value is none
 *                of those that are left
 *   union        copied when it is the same to its end; else refused
 *   pointer      copied when all that it refers to is the same (the deep hash); else refused
 *   array        moved element by element, and those that a shorter one has no place for are like what is removed;
 *                refused when it has other dimensions */
#pragma once
#include "cells/tool/tags.h"
#include "introspect/base/options.h"
#include "introspect/base/own.h"
#include "cells/tool/moves.h"
#include <stdbool.h>
#include <stdint.h>

/* A remark on what the new version has no place for; the argument is its path. */
#define GONE "is gone; the swap is refused if it is not zero, unless --drop %s is said"

/* A decision about a field, which is named by its path: "totals.slot[].messages", "function:variable". */
struct match_word {
    const char *path;
    const char *to; /* the field's new name; NULL: it is dropped */
    bool used;
};

/* A remark on a field; both strings are owned. */
struct match_line {
    char *field, *text;
    const char *cell; /* borrowed from the side */
};
struct match_lines {
    struct match_line *line;
    size_t lines, capacity;
};

struct match {
    const struct tags *old_tags, *new_tags;
    struct match_word *word; /* borrowed */
    size_t words;
    struct match_lines refused, changed; /* owned: match_done */
    struct texts *texts;                 /* borrowed: of the moves */
    const char *cell;                    /* borrowed: that remarks are about */
    bool failed;                         /* no memory */
    char path[512];                      /* of the current field */
    size_t path_bytes;
};

/* Reads the uses of --drop FIELD and --rename FIELD=NAME, and cuts their values in place. Returns the value that is
 * none of these; NULL: all are. */
const char *match_read_words(const struct option_list *list, struct match_word *ret_words);

/* Frees what the match owns. */
void match_done(struct match *match);

/* Adds the moves from variable (or member, or array) `old` to `new_`, whose path is in `match`; reports what is
 * refused. */
void match_types(struct match *match, Dwarf_Die *old, Dwarf_Die *new_, struct moves *moves);

/* Extends the path; what does not fit is cut off. Returns what match_path_back takes to undo that. */
size_t match_path(struct match *match, const char *between, const char *name);
void match_path_back(struct match *match, size_t bytes);
/* The decision about field `name` of the path, or with "" about the path itself; NULL: there is none. */
struct match_word *match_word(struct match *match, const char *name);

/* Adds a remark on the field that the path names. */
void match_remark(struct match *match, struct match_lines *lines, const char *format, ...)
    __attribute__((format(printf, 3, 4)));
