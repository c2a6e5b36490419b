/* Takes static data over by the recipes of a swap (guest/abi/recipe.h). Internal to the swap cell; knows no arena: who
 * calls says what the sections are. Recipes are hostile until recipe_check has passed them, and may not change then. */
#pragma once
#include "cells/kernel/loader/loader.h"
#include "guest/abi/recipe.h"

/* A checked set; borrows the bytes that it was opened on. */
struct recipes {
    const struct recipe *recipe;
    const struct recipe_move *move;
    uint32_t count;
};

/* What a recipe must agree with. */
struct recipe_side {
    uint64_t object; /* hash of its object */
    uint32_t section, bytes;
    uint64_t type, deep;
};

/* `data` is aligned to 8 bytes. Sizes and counts are checked, and that no section is in two recipes; not yet what the
 * recipes say. */
enum err recipes_open(const void *data, size_t bytes, struct recipes *ret_recipes, struct loader_detail *detail);
/* The one for section `section` of the old object; NULL: none. */
const struct recipe *recipes_find(const struct recipes *recipes, uint64_t old_object, uint32_t section);
/* Whether the old section has no heir, and is to have none. */
static inline bool recipe_drops(const struct recipe *recipe)
{
    return recipe->new_section == 0;
}

/* Every move within both sections, no bit of the new one written twice, and made for exactly these two; `new_` NULL: there
 * is none. `written` has as many bytes as the new section; what they are afterwards means nothing. Takes time in the order
 * of the new section's size. */
enum err recipe_check(const struct recipes *recipes, const struct recipe *recipe, const struct recipe_side *old,
                      const struct recipe_side *new_, uint8_t *written, struct loader_detail *detail);

/* The rest is for recipes that have been checked. */
void recipe_apply(const struct recipes *recipes, const struct recipe *recipe, const void *old, void *new_);
/* Where `bytes` bytes at `offset` of the old section are copied to as they are; false: not, or not all of them. */
bool recipe_map(const struct recipes *recipes, const struct recipe *recipe, uint32_t offset, uint32_t bytes,
                uint32_t *ret_offset);
/* The same the other way round: where such bytes of the new section come from. */
bool recipe_origin(const struct recipes *recipes, const struct recipe *recipe, uint32_t offset, uint32_t bytes,
                   uint32_t *ret_offset);
/* Where a pointer to `offset` of the old section is to lead to. False: what is there has changed or is gone, or a structure
 * begins with a field there and no longer does, so that either may be meant. */
bool recipe_address(const struct recipes *recipes, const struct recipe *recipe, uint32_t offset, uint32_t *ret_offset);
