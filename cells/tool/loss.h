/* What a new type cannot hold, or has no place for: moves that refuse the swap when an old value is of that kind
 * (RECIPE_REFUSE_* of guest/abi/recipe.h). They name the field by the path in `match`. */
#pragma once
#include "cells/tool/field.h"
#include "cells/tool/match.h"

/* A number, and what it becomes. Both are integers, or both enumerations, or both of a type whose values do not
 * change. */
struct loss_number {
    Dwarf_Die *old, *new_; /* what holds the type */
    uint64_t old_bits, new_bits;
};
/* Adds moves that refuse values of a number, at bit `from`, that the new type cannot hold: those that do not fit, and
 * enumerators that are gone. Returns whether there are any. */
bool loss_check_number(struct match *match, const struct loss_number *number, uint64_t from, struct moves *moves);
/* Finds an enumerator. */
bool loss_find_enumerator(Dwarf_Die *type, const char *name, int64_t *ret_value);

/* Adds moves that refuse all values but zeros, from byte 0 on, of the type that `holder` names; not those of fields
 * that are dropped by name. */
void loss_add(struct match *match, Dwarf_Die *holder, struct moves *moves);
/* The same for bytes of which no more is known. `--drop PATH` and what comes `after` gives them up. */
void loss_add_bytes(struct match *match, uint64_t from, uint64_t bytes, const char *after, struct moves *moves);
/* The same for a field, at its place in the structure. */
void loss_add_field(struct match *match, struct field *field, struct moves *moves);
