/* The verbs of the program `cell`. Each prints its own errors. */
#pragma once
#include <stdbool.h>
#include <stddef.h>
#include "guest/abi/err.h"

/* From `ld -r` of a cell's objects: the object that the guest loads, and the whole one for the host (or NULL). */
enum err make_cell(const char *raw, const char *out, const char *debug);
/* From `ld -r` of what the image has beside cells: its object, with the places of all sections in the image, from the
 * map that ld wrote. */
enum err describe_image(const char *kernel, const char *map, const char *raw, const char *out);
/* cpio "newc": a member NAME.o per object, named after the cell in it. */
enum err make_archive(const char *out, char *const objects[], size_t count);
enum err show_cell(const char *path);
/* What a swap from one object to the other would see. */
enum err compare_cells(const char *old, const char *new);

/* Which data of the old cells a swap to the new ones takes over, and how. Lists are separated by commas; `word` are
 * "FIELD" to drop and "FIELD=NAME" to rename. The recipes go to `out`, or with NULL nowhere. ERR_REFUSED: something cannot
 * be taken over; `out` is not written then. */
enum err transfer_cells(const char *old, const char *new_, char *const *word, size_t words, const char *out, bool json);
