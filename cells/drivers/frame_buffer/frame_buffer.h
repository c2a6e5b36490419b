/* The linear frame buffer that the boot loader set up, 32 bits a pixel; most virtual machines have none. Write-only,
 * since reading device memory is slow. No lock: the last to write a pixel wins, so callers draw in areas of their
 * own. */
#pragma once
#include "cells/cell.h"

/* Width and height in pixels. False: there is no frame buffer. */
bool frame_buffer_size(uint32_t *ret_width, uint32_t *ret_height);

/* Fills a rectangle, clipped to the screen. Colours are 0x00rrggbb. Any context; does nothing without a frame
 * buffer. */
void frame_buffer_fill(uint32_t x, uint32_t y, uint32_t width, uint32_t height, uint32_t colour);
/* The same with colours from `pixels`: rows of `width` of them, without gaps. */
void frame_buffer_copy(uint32_t x, uint32_t y, uint32_t width, uint32_t height, const uint32_t *pixels);
