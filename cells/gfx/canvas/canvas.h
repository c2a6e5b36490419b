/* Pictures in memory: 32 bits a pixel (0x00rrggbb), with rectangles, lines and circles, all clipped. A canvas is owned
 * by its holder and has no lock: callers that share one take a lock of their own. */
#pragma once
#include "cells/cell.h"

struct canvas; /* opaque */

/* Frees a canvas. Accepts NULL. */
void canvas_put(TAKES struct canvas *canvas);
OWNABLE(canvas)
/* A black canvas of 1 to 4096 pixels each way. NULL: other sizes, or no memory. Release with canvas_put. */
RELEASED_BY(canvas_put) struct canvas *canvas_new(uint32_t width, uint32_t height);

/* In pixels. */
uint32_t canvas_width(const struct canvas *canvas);
uint32_t canvas_height(const struct canvas *canvas);
/* Colour of a pixel; 0 outside of the canvas. */
uint32_t canvas_pixel(const struct canvas *canvas, int x, int y);

/* These draw in one colour; what lies outside of the canvas is left out. */
void canvas_fill(struct canvas *canvas, uint32_t colour);
void canvas_rectangle(struct canvas *canvas, int x, int y, int width, int height, uint32_t colour); /* filled */
void canvas_line(struct canvas *canvas, int x0, int y0, int x1, int y1, uint32_t colour);           /* ends included */
void canvas_circle(struct canvas *canvas, int x, int y, int radius, uint32_t colour);               /* outline */

/* Draws frame `frame` of an animated picture that repeats after CANVAS_FRAMES frames. The pixels depend on size and
 * frame alone, so that their checksum can be known in advance. */
#define CANVAS_FRAMES 64
void canvas_animate(struct canvas *canvas, uint32_t frame);
/* CRC-32 of the pixels. */
uint32_t canvas_checksum(const struct canvas *canvas);

/* Copies the canvas to the middle of the screen. ERR_UNSUPPORTED: there is no linear frame buffer, or the command line
 * does not have canvas=screen. */
enum err canvas_show(const struct canvas *canvas);
