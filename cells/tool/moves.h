/* Lists of moves: where the parts of a datum are in its old and in its new version (guest/abi/recipe.h). Functions
 * return false when memory is out. */
#pragma once
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include "guest/abi/recipe.h"

/* The strings that moves refer to, as in a set of recipes. */
struct texts {
    char *text; /* owned; NULL: none has been added */
    size_t bytes, capacity;
    bool full; /* there are more than RECIPE_TEXT_MAX bytes */
};

void texts_done(struct texts *texts); /* accepts zeros */
/* Adds a string, unless it is there, and finds its offset. When it does not fit, `full` is set, and the offset is that
 * of the empty string. */
bool texts_add(struct texts *texts, const char *string, uint32_t *ret_offset);

struct moves {
    struct recipe_move *move; /* owned */
    size_t moves, capacity;
};

void moves_done(struct moves *moves); /* accepts zeros */

/* Appends one; copies of neighbouring bytes become one move. */
bool moves_add(struct moves *moves, struct recipe_move move);
/* Appends all of `more`, so many bytes further on. Stops beyond MOVES_MAX, which callers refuse. */
bool moves_append(struct moves *moves, const struct moves *more, uint64_t from, uint64_t to);
/* How elements are numbered in the names of fields: the array's "[]" is so far into the name. */
struct moves_name {
    struct texts *texts;
    size_t at;
    bool outer;     /* "[]" is that of a dimension further in, of the same array */
    uint32_t first; /* number of the first element */
};
/* Appends all of `inner` once for each of `count` elements, which are so many bytes apart. */
bool moves_repeat(struct moves *moves, const struct moves *inner, uint64_t count, uint64_t from_stride,
                  uint64_t to_stride, const struct moves_name *name);

/* Offsets and widths of a move are in bytes, or in bits: this many units are a byte. */
unsigned moves_unit(const struct recipe_move *move);
/* How many elements moves look at that refuse (RECIPE_LOOKS). */
uint64_t moves_looks(const struct moves *moves);
