/* See canvas.h. Drawing into pixels in memory; touches no device and allocates nothing. */
#include "cells/gfx/canvas/canvas.h"
#include "cells/gfx/canvas/picture.h"
#include "cells/lib/checksum/checksum.h"

uint32_t canvas_width(const struct canvas *canvas)
{
    return (uint32_t)canvas->width;
}

uint32_t canvas_height(const struct canvas *canvas)
{
    return (uint32_t)canvas->height;
}

static uint32_t *pixel_at(const struct canvas *canvas, int x, int y)
{
    if (x < 0 || y < 0 || x >= canvas->width || y >= canvas->height)
        return NULL;
    return canvas->pixel + (size_t)y * (size_t)canvas->width + (size_t)x;
}

uint32_t canvas_pixel(const struct canvas *canvas, int x, int y)
{
    const uint32_t *pixel = pixel_at(canvas, x, y);

    return pixel ? *pixel : 0;
}

static void plot(struct canvas *canvas, int x, int y, uint32_t colour)
{
    uint32_t *pixel = pixel_at(canvas, x, y);

    if (pixel)
        *pixel = colour;
}

static int clamp(int64_t value, int low, int high)
{
    return value < low ? low : value > high ? high : (int)value;
}

void canvas_rectangle(struct canvas *canvas, int x, int y, int width, int height, uint32_t colour)
{
    int left = clamp(x, 0, canvas->width), right = clamp((int64_t)x + width, left, canvas->width);
    int top = clamp(y, 0, canvas->height), bottom = clamp((int64_t)y + height, top, canvas->height);

    for (int row = top; row < bottom; row++) {
        uint32_t *pixel = canvas->pixel + (size_t)row * (size_t)canvas->width;
        for (int column = left; column < right; column++)
            pixel[column] = colour;
    }
}

void canvas_fill(struct canvas *canvas, uint32_t colour)
{
    canvas_rectangle(canvas, 0, 0, canvas->width, canvas->height, colour);
}

/* Bresenham's line; coordinates beyond 2^20 are cut to that, so that the error term cannot overflow. */
void canvas_line(struct canvas *canvas, int x0, int y0, int x1, int y1, uint32_t colour)
{
    enum { FAR = 1 << 20 };
    x0 = clamp(x0, -FAR, FAR), x1 = clamp(x1, -FAR, FAR);
    y0 = clamp(y0, -FAR, FAR), y1 = clamp(y1, -FAR, FAR);
    int dx = x1 > x0 ? x1 - x0 : x0 - x1, dy = y1 > y0 ? y1 - y0 : y0 - y1;
    int step_x = x0 < x1 ? 1 : -1, step_y = y0 < y1 ? 1 : -1;
    int error = dx - dy;

    for (;;) {
        plot(canvas, x0, y0, colour);
        if (x0 == x1 && y0 == y1)
            return;
        int twice = 2 * error;
        if (twice > -dy)
            error -= dy, x0 += step_x;
        if (twice < dx)
            error += dx, y0 += step_y;
    }
}

/* The midpoint circle: computes one eighth, and sets eight points at each step. */
void canvas_circle(struct canvas *canvas, int x, int y, int radius, uint32_t colour)
{
    static const int8_t mirror[8][4] = {{1, 0, 0, 1},  {0, 1, 1, 0},  {-1, 0, 0, 1},  {0, -1, 1, 0},
                                        {1, 0, 0, -1}, {0, 1, -1, 0}, {-1, 0, 0, -1}, {0, -1, -1, 0}};
    int a = clamp(radius, 0, 1 << 14), b = 0, error = 1 - a;

    while (a >= b) {
        for (size_t i = 0; i < array_size(mirror); i++)
            plot(canvas, x + mirror[i][0] * a + mirror[i][1] * b, y + mirror[i][2] * a + mirror[i][3] * b, colour);
        b++;
        if (error <= 0)
            error += 2 * b + 1;
        else
            a--, error += 2 * (b - a) + 1;
    }
}

/* Distance from a wall after `steps` steps between two walls `span` apart. */
static int bounce(uint32_t steps, int span)
{
    int at_step = (int)(steps % (uint32_t)(2 * span));

    return at_step < span ? at_step : 2 * span - at_step;
}

/* A night sky: a horizon, a lattice of lines that rotates, a moon that rises, and boxes that bounce. */
void canvas_animate(struct canvas *canvas, uint32_t frame)
{
    int w = canvas->width, h = canvas->height;
    uint32_t step = frame % CANVAS_FRAMES;

    for (int y = 0; y < h; y++)
        canvas_rectangle(canvas, 0, y, w, 1, (uint32_t)(y * 96 / h) + (step << 9 & 0x3f00));
    for (int i = 0; i <= 8; i++)
        canvas_line(canvas, i * w / 8, h - 1, (i * w / 8 + (int)step * w / CANVAS_FRAMES) % (w + 1), h / 2, 0x306030);
    for (int r = 1; r <= h / 6; r++)
        canvas_circle(canvas, w * 3 / 4, h * 3 / 4 - (int)step * h / CANVAS_FRAMES, r, 0xf0e0a0 - (uint32_t)r);
    for (uint32_t i = 0; i < 6; i++)
        canvas_rectangle(canvas, bounce(step * (3 + i) + i * 17, w > 9 ? w - 8 : 1),
                         bounce(step * (2 + i) + i * 29, h > 9 ? h - 8 : 1), 8, 8, 0x20u << 4 * i | 0x404040);
}

uint32_t canvas_checksum(const struct canvas *canvas)
{
    return checksum_crc32(0, canvas->pixel, (size_t)canvas->width * (size_t)canvas->height * sizeof *canvas->pixel);
}
