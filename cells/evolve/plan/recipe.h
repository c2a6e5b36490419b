/* Moves static data by the recipes of a swap (guest/abi/recipe.h). Internal to the plan cell. Does not read the arena:
 * the caller describes both sections. Recipes are hostile until recipe_check has passed them, and must not change
 * afterwards. */
#pragma once
#include "cells/core/report/report.h"
#include "guest/abi/recipe.h"

struct plan; /* that words are redirected by */

/* A checked set; borrows the bytes that it was opened on. */
struct recipes {
    const struct recipe *recipe;
    const struct recipe_move *move;
    const char *text;
    uint32_t count;
};

/* A section, as a recipe must describe it. */
struct recipe_side {
    uint64_t object; /* hash of its object */
    uint32_t section, bytes;
    uint64_t type, deep;
};

/* Opens the set of recipes at `data`, which must be aligned to 8 bytes. Checks sizes and counts, and that no section is
 * in two recipes, but no recipe by itself. `report` may be NULL. ERR_CORRUPT: ret_recipes is untouched. */
enum err recipes_open(const void *data, size_t bytes, struct recipes *ret_recipes, struct report *report);
/* The recipe for section `section` of the old object; NULL: there is none. */
const struct recipe *recipes_find(const struct recipes *recipes, uint64_t old_object, uint32_t section);
/* Whether the recipe drops the old section: no new one takes its place. */
static inline bool recipe_drops(const struct recipe *recipe)
{
    return recipe->new_section == 0;
}

/* Checks that the recipe was made for exactly these two sections, that every move is within both, and that no bit of
 * the new one is written twice. `new_` NULL: the old section is dropped. `written`: a scratch buffer of as many bytes
 * as the new section. Takes time in the order of the new section's size. ERR_CORRUPT: the report says which check
 * failed. */
enum err recipe_check(const struct recipes *recipes, const struct recipe *recipe, const struct recipe_side *old,
                      const struct recipe_side *new_, uint8_t *written, struct report *report);

/* The rest is for recipes that have been checked. */

/* Refuses what the old section holds and the new one cannot: "CELL.FIELD is VALUE, which does not fit uint16_t".
 * ERR_RANGE. */
enum err recipe_refuse_values(const struct recipes *recipes, const struct recipe *recipe, const char *cell,
                              const void *old, struct report *report);

/* Carries out the recipe's moves, from the bytes `old` of the old section to the bytes `new_` of the new one. */
void recipe_apply(const struct recipes *recipes, const struct recipe *recipe, const void *old, void *new_);
/* What takes the place of a word that may be an address; 0: nothing does. */
typedef uint64_t recipe_redirect(const struct plan *plan, uint64_t word);
/* Moves again what has changed in the old section since its bytes were `was`; whole words that are copied unchanged are
 * redirected. */
void recipe_apply_changes(const struct recipes *recipes, const struct recipe *recipe, const void *old, const void *was,
                          void *new_, recipe_redirect *redirect, const struct plan *plan);
/* The inverse, for what has changed in the new section since its bytes were `was`: a value that is wider there is cut,
 * and of one that is narrower the upper bits stay. */
void recipe_undo_changes(const struct recipes *recipes, const struct recipe *recipe, void *old, const void *new_,
                         const void *was, recipe_redirect *redirect, const struct plan *plan);
/* The offset in the new section to which `bytes` bytes at `offset` of the old one are copied unchanged. False: not all
 * of them are. */
bool recipe_new_offset(const struct recipes *recipes, const struct recipe *recipe, uint32_t offset, uint32_t bytes,
                       uint32_t *ret_offset);
/* The inverse: the offset in the old section from which `bytes` bytes at `offset` of the new one are copied
 * unchanged. */
bool recipe_old_offset(const struct recipes *recipes, const struct recipe *recipe, uint32_t offset, uint32_t bytes,
                       uint32_t *ret_offset);
/* The offset in the new section to which a pointer to `offset` of the old one is redirected. False: what is there gets
 * another type or is dropped; or a structure and its first field begin there and are moved to different places, so that
 * the pointer may mean either. */
bool recipe_new_target(const struct recipes *recipes, const struct recipe *recipe, uint32_t offset,
                       uint32_t *ret_offset);
