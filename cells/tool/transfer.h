/* Which static data of some old cells goes where in some new ones, and by what means: as it is, by a recipe made
 * from the DWARF of both, or by a transfer function of the new cell, which has precedence. */
#pragma once
#include "cells/tool/match.h"
#include "cells/tool/side.h"

/* Of one section of an old cell, which is static data or a function that has another name. Moves are owned. */
struct transfer_recipe {
    size_t old, new_;                     /* which side */
    const struct side_section *from, *to; /* `to` NULL: the old section is dropped */
    struct moves moves;
};

struct transfer {
    struct side *old, *new_; /* borrowed */
    size_t olds, news;
    struct transfer_recipe *recipe; /* owned, as the rest */
    size_t recipes;
    struct texts texts;           /* of their moves */
    struct match_lines changed;   /* what a recipe does to a field beyond moving it */
    struct match_lines refused;   /* why it cannot be done: the field and the reason */
    struct match_lines left_over; /* data that are left to a transfer function */
};

/* Pairs the data of old and new cells and makes recipes. What is refused is in ret_transfer->refused, and is no error.
 * ERR_INVALID: one of `word` matches nothing. ERR_RANGE: more than a swap can carry. */
enum err transfer_make(struct transfer *ret_transfer, struct side *old, size_t olds, struct side *new_, size_t news,
                       struct match_word *word, size_t words);
void transfer_done(struct transfer *transfer); /* accepts zeros */

/* Makes a struct recipe_set, owned by the caller. NULL: no memory. */
void *transfer_pack(const struct transfer *transfer, size_t *ret_bytes);

/* Prints it for people. */
void transfer_print(const struct transfer *transfer);
/* { old, new, recipes, changed, refused, left_over }: recipes as transfer_pack has them. NULL: no memory. */
struct json_t *transfer_json(const struct transfer *transfer);
/* The name of an enum recipe_kind; NULL: unknown. */
const char *transfer_kind(uint32_t kind);
