/* How static data whose type has changed is carried: a list of moves per section, made by `cell transfer` from the
 * DWARF of both versions, passed in a swap set. Bytes that no move writes keep the initial value of the new object.
 *
 * What a narrower type cannot hold, and what the new version has no place for, must not get lost silently: moves of the
 * kinds RECIPE_REFUSE_* move nothing, but look at the old value when the data is carried, and refuse the swap.
 *
 * A set of recipes is a struct recipe_set, its recipes, then all their moves, then the text that moves refer to:
 * printable strings, each with its NUL, the first one empty. Everything is hostile to the guest. */
#pragma once
#include <stdbool.h>
#include <stdint.h>

#define RECIPE_VERSION  2
#define RECIPES_MAX     256
#define MOVES_MAX       8192
#define RECIPE_TEXT_MAX (1u << 18)
#define RECIPE_LOOKS    (1u << 20) /* elements that a recipe's moves of the kinds RECIPE_REFUSE_* look at */

enum recipe_kind {
    RECIPE_COPY = 1,        /* widths are equal */
    RECIPE_ZERO_EXTEND = 2, /* widths are 1, 2, 4 or 8, and the new one is larger */
    RECIPE_SIGN_EXTEND = 3,
    RECIPE_ZERO_BITS = 4, /* the same for bit fields: offsets, widths and strides count bits, widths up to 64 */
    RECIPE_SIGN_BITS = 5,
    RECIPE_PLACE = 6,    /* moves nothing, widths are 0: pointers to `from` are redirected to `to` */
    RECIPE_CUT_BITS = 7, /* the low bits: offsets, widths and strides count bits, and the new width is smaller */
    /* The swap is refused if a value is from `low` to `high`; where `high` is less than `low`, if it is not between
     * them. Offsets, widths and strides count bits; values are extended to 64 bits. */
    RECIPE_REFUSE_UNSIGNED = 8,
    RECIPE_REFUSE_SIGNED = 9,
    RECIPE_REFUSE_FLAGS = 10, /* refuses the swap if the value has a bit of `low` */
    RECIPE_REFUSE_USED = 11,  /* if a byte is not zero: offsets, widths and strides count bytes */
    RECIPE_KINDS = 12,
};

/* Whether a move of that kind moves nothing, but may refuse. `to`, `to_width` and `to_stride` are 0 then. */
static inline bool recipe_refuses(uint32_t kind)
{
    return kind >= RECIPE_REFUSE_UNSIGNED && kind <= RECIPE_REFUSE_USED;
}
/* Whether offsets, widths and strides of such a move count bits. */
static inline bool recipe_counts_bits(uint32_t kind)
{
    return kind == RECIPE_ZERO_BITS || kind == RECIPE_SIGN_BITS || kind == RECIPE_CUT_BITS ||
           (recipe_refuses(kind) && kind != RECIPE_REFUSE_USED);
}

/* `count` elements, the i-th from `from` + i * `from_stride` to `to` + i * `to_stride`. */
struct recipe_move {
    uint32_t kind; /* enum recipe_kind */
    uint32_t count;
    uint32_t from, to; /* offsets in the sections */
    uint32_t from_width, to_width;
    uint32_t from_stride, to_stride;
    /* Of RECIPE_REFUSE_*; else 0. */
    uint64_t low, high;
    uint32_t field; /* offset in the text: its name, in which the last "[]" stands for the element */
    uint32_t why;   /* offset in the text: what is said behind "FIELD is VALUE, " */
    uint32_t first; /* number of the first element */
    uint32_t pad;
};
_Static_assert(sizeof(struct recipe_move) == 64);

/* For one section of the new cell, from one of the old cell. If all `new_` fields are 0, the old section is not
 * carried, and has no moves but those that refuse. A recipe for a function has no moves: it says that the function has
 * another name in the new version, so that pointers to it and frames in it follow. */
struct recipe {
    uint64_t old_object, new_object;   /* object_hash() of the files, as in struct arena_object */
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
    uint32_t text; /* bytes, at least one */
    uint32_t pad;
};
_Static_assert(sizeof(struct recipe_set) == 24);
