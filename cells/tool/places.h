/* Where the linker has put each section of the cells in the nano_core image: from its map, and the image's identity. */
#pragma once
#include <stddef.h>
#include "guest/abi/err.h"

/* Makes the contents of section NOTE_IMAGE (guest/abi/note.h), owned by the caller. Prints what is wrong. */
enum err places_read(const char *kernel, const char *map, void **ret_places, size_t *ret_bytes);
