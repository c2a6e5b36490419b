/* Pictures: a frame buffer in memory, 32 bits a pixel (0x00rrggbb), owned by its holder, with rectangles, lines and
 * circles, all clipped. canvas_show copies it onto the screen, where there is a linear frame buffer and the command line
 * asks for it (canvas=screen). Drawing on one canvas from two tasks is for the callers to order. */
#pragma once
#include "cells/cell.h"

struct canvas; /* opaque */

void canvas_put(TAKES struct canvas *canvas); /* accepts NULL */
OWNABLE(canvas)
/* A black canvas; at most 4096 pixels each way. NULL: sizes out of range or memory is out. */
RELEASED_BY(canvas_put) struct canvas *canvas_new(uint32_t width, uint32_t height);

uint32_t canvas_width(const struct canvas *canvas);
uint32_t canvas_height(const struct canvas *canvas);
uint32_t canvas_pixel(const struct canvas *canvas, int x, int y); /* 0 outside */

void canvas_fill(struct canvas *canvas, uint32_t colour);
void canvas_rectangle(struct canvas *canvas, int x, int y, int width, int height, uint32_t colour); /* filled */
void canvas_line(struct canvas *canvas, int x0, int y0, int x1, int y1, uint32_t colour);           /* ends included */
void canvas_circle(struct canvas *canvas, int x, int y, int radius, uint32_t colour);               /* outline */

/* Draws frame `frame` of an animated picture that repeats after CANVAS_FRAMES frames. A given size and frame always
 * give the same pixels, so that canvas_checksum (CRC-32 of the pixels) can be known in advance. */
#define CANVAS_FRAMES 64
void canvas_animate(struct canvas *canvas, uint32_t frame);
uint32_t canvas_checksum(const struct canvas *canvas);

/* Copies the canvas to the middle of the screen. ERR_UNSUPPORTED: no linear frame buffer, or canvas=screen not given. */
enum err canvas_show(const struct canvas *canvas);
