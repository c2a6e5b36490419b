/* Physical frames of 4 KiB, in contiguous runs. Knows nothing of mappings (thesis §6.3.1).
 * May be called with interrupts off; never sleeps. */
#pragma once
#include "cells/cell.h"

#define FRAME_BYTES 4096ul

/* Takes over what the boot information calls usable, except image, arena and archive. Once, on the early page tables.
 * The image is what begins at LAYOUT_IMAGE_PHYS. */
enum err frame_init(uint64_t image_end);
/* Writes the counters frames_free and frames_total anew, after the arena was formatted. */
void frame_publish(void);

/* `frames` contiguous frames, not cleared. ERR_NOMEM: nothing was taken. */
enum err frame_alloc(size_t frames, uint64_t *ret_phys);

/* Gives back a run, or any part of one. Panics on a frame that is free already. */
void frame_free(uint64_t phys, size_t frames);

size_t frame_free_count(void);
size_t frame_total_count(void);
