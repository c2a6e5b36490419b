/* The set of cells that a swap puts into the mailbox: its header, then the objects and the recipes one behind the other. */
#pragma once
#include "cli/asking.h"
#include "guest/abi/swap_set.h"

struct bundle {
    struct swap_set *set; /* owned */
    size_t room;
    char what[64]; /* for messages */
};

/* An exit status other than 0 was reported; bundle_close in every case. */
int bundle_open(const struct asking *asking, struct bundle *ret_bundle, const char *what);
int bundle_old(struct asking *asking, struct bundle *bundle, const char *cell);
int bundle_object(struct bundle *bundle, const void *data, size_t bytes);
/* An object that the guest has, by the name of its cell and its hash. */
int bundle_kept(struct bundle *bundle, const char *cell, uint64_t hash);
int bundle_recipes(struct bundle *bundle, const void *data, size_t bytes);
/* What a file says, by one of these. */
int bundle_add(struct bundle *bundle, const char *path, int (*add)(struct bundle *, const void *, size_t));
/* Asks for the swap, and prints how it went. */
int bundle_swap(struct asking *asking, const struct bundle *bundle);
void bundle_close(struct bundle *bundle);

/* Reads a whole regular file of at most `max` bytes; the caller frees. */
int bundle_file(const char *path, size_t max, void **ret_data, size_t *ret_bytes);
