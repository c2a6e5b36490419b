/* The verbs of the program `cell`. Each prints its own errors. */
#pragma once
#include <stdbool.h>
#include <stddef.h>
#include "guest/abi/err.h"

struct match_word;

/* Makes, from `ld -r` of a cell's objects, the object that the guest loads, and the whole one for the host (or
 * NULL). */
enum err make_cell(const char *raw, const char *out, const char *debug);
/* Makes, from `ld -r` of what the image has beside cells, its object, with the places of all sections in the image,
 * from the map that ld wrote. */
enum err describe_image(const char *kernel, const char *map, const char *raw, const char *out);
/* Writes a cpio "newc" archive with a member NAME.o per object, named after the cell in it. */
enum err make_archive(const char *out, char *const objects[], size_t count);
enum err show_cell(const char *path);
/* Prints what a swap from one object to the other would see. */
enum err compare_cells(const char *old, const char *new);

/* Prints which data of the old cells a swap to the new ones takes over, and how. Lists are separated by commas;
 * `word` says which fields are dropped or renamed. The recipes go to `out`, unless it is NULL. ERR_REFUSED:
 * something cannot be taken over, and `out` is not written. */
enum err transfer_cells(const char *old, const char *new_, struct match_word *word, size_t words, const char *out,
                        bool json);
