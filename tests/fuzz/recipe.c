/* Fuzz target: any bytes as a set of recipes, each applied to two sections that are what it says they are.
 *
 * sources: tests/hosted/stand_in.c cells
 */
#include "cells/evolve/plan/recipe.h"
#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t bytes);

#define SECTION_MAX 65536

/* Of its own size, so that the sanitizer sees each byte beyond it. */
static void *block(size_t bytes)
{
    void *new_ = malloc(bytes + !bytes);

    if (!new_)
        abort();
    return new_;
}

static void look_for_pointers(const struct recipes *recipes, const struct recipe *r)
{
    uint32_t to, from;

    for (uint32_t at = 0; at < r->old_bytes && at < 256; at++) {
        if (recipe_new_target(recipes, r, at, &to) && to > r->new_bytes)
            abort();
        if (recipe_new_offset(recipes, r, at, 8, &to)) {
            if (to > r->new_bytes || r->new_bytes - to < 8)
                abort();
            if (recipe_old_offset(recipes, r, to, 8, &from) && (from > r->old_bytes || r->old_bytes - from < 8))
                abort();
        }
    }
}

static uint64_t redirect(const struct plan *plan, uint64_t word)
{
    (void)plan;
    return word & 1 ? ~word : 0;
}

/* Moves all, then what has changed since, then back what has changed there. */
static void carry(const struct recipes *recipes, const struct recipe *r, uint8_t *old, uint8_t *new_)
{
    uint8_t *was = block(r->old_bytes), *after = block(r->new_bytes);

    recipe_apply(recipes, r, old, new_);
    memset(was, 0x5b, r->old_bytes);
    recipe_apply_changes(recipes, r, old, was, new_, redirect, NULL);
    memset(after, 0xa5, r->new_bytes);
    recipe_undo_changes(recipes, r, old, new_, after, redirect, NULL);
    free(after);
    free(was);
}

static void try_recipe(const struct recipes *recipes, const struct recipe *r)
{
    const struct recipe_side before = {r->old_object, r->old_section, r->old_bytes, r->old_type, r->old_deep};
    const struct recipe_side after = {r->new_object, r->new_section, r->new_bytes, r->new_type, r->new_deep};

    if (r->old_bytes > SECTION_MAX || r->new_bytes > SECTION_MAX)
        return;
    uint8_t *old = block(r->old_bytes), *new_ = block(r->new_bytes), *written = block(r->new_bytes);
    memset(old, 0x5a, r->old_bytes);
    memset(new_, 0, r->new_bytes);
    if (!recipe_check(recipes, r, &before, recipe_drops(r) ? NULL : &after, written, NULL)) {
        struct report report = {0};
        (void)recipe_refuse_values(recipes, r, "cell", old, &report);
        if (!recipe_drops(r))
            carry(recipes, r, old, new_);
        look_for_pointers(recipes, r);
    }
    free(written);
    free(new_);
    free(old);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t bytes)
{
    struct recipes recipes;
    void *copy = block(bytes);

    memcpy(copy, data, bytes);
    if (!recipes_open(copy, bytes, &recipes, NULL))
        for (uint32_t i = 0; i < recipes.count; i++)
            try_recipe(&recipes, &recipes.recipe[i]);
    free(copy);
    return 0;
}
