/* Private to canvas: what a canvas is. Drawing (draw.c) knows no more than this, so that it also compiles for the host,
 * where the right checksums are made. */
#pragma once
#include "cells/cell.h"
#include "cells/gfx/canvas/canvas.h"

struct mapped_pages;

struct canvas {
    int width, height;
    struct mapped_pages *memory; /* owns pixel */
    uint32_t *pixel;             /* row after row, without gaps */
};
