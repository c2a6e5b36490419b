/* The set of cells that a swap puts into the mailbox: its header, then the objects and the recipes, one after the
 * other. */
#pragma once
#include "cli/asking.h"
#include "guest/abi/swap_set.h"

struct bundle {
    struct swap_set *set; /* owned */
    size_t room;
    char what[64]; /* for messages */
};

/* An exit status other than 0 of these functions was reported. `what` names the swap in messages. */
enum cli_status bundle_open(const struct asking *asking, struct bundle *ret_bundle, const char *what);
/* Adds the name of a cell that is to be replaced, which the machine must have. */
enum cli_status bundle_old(struct asking *asking, struct bundle *bundle, const char *cell);
/* Adds an object file's contents. */
enum cli_status bundle_object(struct bundle *bundle, const void *data, size_t bytes);
/* Adds an object that the guest still has, by the name of its cell and its hash. */
enum cli_status bundle_kept(struct bundle *bundle, const char *cell, uint64_t hash);
/* Adds recipes for static data (guest/abi/recipe.h). */
enum cli_status bundle_recipes(struct bundle *bundle, const void *data, size_t bytes);
/* Reads a file and adds its contents by one of the functions above. */
enum cli_status bundle_add(struct bundle *bundle, const char *path,
                           enum cli_status (*add)(struct bundle *, const void *, size_t));
/* Asks for the swap, and prints the result. */
enum cli_status bundle_swap(struct asking *asking, const struct bundle *bundle);
void bundle_print_swap(const struct asking *asking, const char *what, const struct arena_completion *completion);
void bundle_close(struct bundle *bundle); /* accepts zeros */

/* Reads a whole regular file of 1 to `max` bytes, which files_find finds among cells; the caller frees. An exit status
 * other than 0 was reported. */
enum cli_status bundle_file(const char *word, size_t max, void **ret_data, size_t *ret_bytes);
