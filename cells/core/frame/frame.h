/* Physical frames of 4 KiB, in contiguous runs (thesis §6.3.1). Knows nothing of mappings.
 * Invariant: a frame is free or has one owner. May be called with interrupts off; never sleeps. */
#pragma once
#include "cells/cell.h"

#define FRAME_BYTES        4096ul
#define FRAME_RESERVE_PART 64 /* one frame in so many is for recovery alone */

/* Makes all frames free that the boot information calls usable, except those of image, arena and archive. The image
 * extends from LAYOUT_IMAGE_PHYS to `image_end`. Plans the arena and finds a place for it. Once, on the early page
 * tables. ERR_NOMEM: no room for the bit map. */
enum err frame_init(uint64_t image_end);
/* Writes the arena's counters frames_free and frames_total. To be called after the arena was formatted. */
void frame_publish(void);

/* Allocates `frames` contiguous frames, not cleared. The last ones are for recovery (arena_reserve_user). ERR_NOMEM,
 * ERR_INVALID (0 frames): ret_phys is untouched. */
enum err frame_alloc(size_t frames, uint64_t *ret_phys);

/* Frees a run of frames, or any part of one. Panics on a frame that is free. */
void frame_free(uint64_t phys, size_t frames);

/* Counts free frames again, by the map. True: what was kept about them was wrong: memory may only seem to be out. */
bool frame_recount(void);

/* How many frames are free, and how many there are. */
size_t frame_free_count(void);
size_t frame_total_count(void);
