/* The linear frame buffer that the boot loader set up, 32 bits a pixel. Write-only: reading device memory is slow, so
 * whoever scrolls keeps a copy. There is none on most virtual machines. Callers take turns by drawing in areas of their
 * own; the last to write a pixel wins. */
#pragma once
#include "cells/cell.h"

bool frame_buffer_size(uint32_t *ret_width, uint32_t *ret_height); /* false: there is no frame buffer */

/* Colours are 0x00rrggbb; what lies outside of the screen is cut off. */
void frame_buffer_fill(uint32_t x, uint32_t y, uint32_t width, uint32_t height, uint32_t colour);
/* `pixels`: rows of `width` colours, without gaps. */
void frame_buffer_copy(uint32_t x, uint32_t y, uint32_t width, uint32_t height, const uint32_t *pixels);
