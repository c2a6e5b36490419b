/* How static data of a type that has changed is taken over: a list of moves per section, made by `cell transfer` from the
 * DWARF of both versions, carried in a swap set. What no move writes keeps the initial value of the new object.
 *
 * A set of recipes is a struct recipe_set, its recipes, then all their moves. Everything is hostile to the guest. */
#pragma once
#include <stdint.h>

#define RECIPE_VERSION 1
#define RECIPES_MAX    256
#define MOVES_MAX      8192

enum recipe_kind {
    RECIPE_COPY = 1,        /* widths are equal */
    RECIPE_ZERO_EXTEND = 2, /* widths are 1, 2, 4 or 8, and the new one is larger */
    RECIPE_SIGN_EXTEND = 3,
    RECIPE_ZERO_BITS = 4, /* the same for bit fields: offsets, widths and strides count bits, widths up to 64 */
    RECIPE_SIGN_BITS = 5,
    RECIPE_PLACE = 6, /* moves nothing, widths are 0: what points to `from` is to point to `to` */
};

/* `count` elements, the i-th from `from` + i * `from_stride` to `to` + i * `to_stride`. */
struct recipe_move {
    uint32_t kind; /* enum recipe_kind */
    uint32_t count;
    uint32_t from, to; /* offsets in the sections */
    uint32_t from_width, to_width;
    uint32_t from_stride, to_stride;
};
_Static_assert(sizeof(struct recipe_move) == 32);

/* For one section of the new cell, from one of the old cell. Where all that says "new" is 0, and there are no moves, what
 * the old section holds is given up. */
struct recipe {
    uint64_t old_object, new_object;   /* FNV-1a 64 of the object files, as in struct arena_object */
    uint32_t old_section, new_section; /* section header indices in them */
    uint32_t old_bytes, new_bytes;
    uint64_t old_type, new_type; /* as in struct note_data, none of them 0 */
    uint64_t old_deep, new_deep;
    uint32_t first_move, moves;
};
_Static_assert(sizeof(struct recipe) == 72);

struct recipe_set {
    uint32_t version; /* RECIPE_VERSION */
    uint32_t bytes;   /* of the whole */
    uint32_t recipes, moves;
};
_Static_assert(sizeof(struct recipe_set) == 16);
