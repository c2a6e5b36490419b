/* Where the linker has put each section of the cells in the nano_core image: from its map, and the image's identity. */
#pragma once
#include <stddef.h>
#include "guest/abi/err.h"

/* Contents of section NOTE_IMAGE (guest/abi/note.h), to be freed. Prints the reason when it fails. */
enum err places_read(const char *kernel, const char *map, void **ret_places, size_t *ret_bytes);
