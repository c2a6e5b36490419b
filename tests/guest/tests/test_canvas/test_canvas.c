/* Shapes are drawn where they should be and are clipped; frames of the animated picture have the checksums that the
 * host computes (tests/e2e/workload_table.sh). */
#include "cells/gfx/canvas/canvas.h"
#include "tests/guest/fixtures/testing/testing.h"
#include "tests/guest/tests/test_canvas/frames.h"

CELL("test_canvas", KERNEL, 1);

#define RED   0xff0000
#define WHITE 0xffffff

static size_t pixels_of(const struct canvas *canvas, uint32_t colour)
{
    size_t found = 0;

    for (int y = 0; y < (int)canvas_height(canvas); y++)
        for (int x = 0; x < (int)canvas_width(canvas); x++)
            found += canvas_pixel(canvas, x, y) == colour;
    return found;
}

static void shapes(const struct testing *test)
{
    OWN(canvas) struct canvas *canvas = canvas_new(40, 30);

    testing_need(test, canvas && canvas_width(canvas) == 40 && canvas_height(canvas) == 30);
    canvas_rectangle(canvas, 3, 4, 5, 6, RED);
    testing_need(test, pixels_of(canvas, RED) == 30);
    testing_need(test, canvas_pixel(canvas, 3, 4) == RED && canvas_pixel(canvas, 7, 9) == RED);
    testing_need(test, canvas_pixel(canvas, 8, 9) == 0 && canvas_pixel(canvas, 2, 4) == 0);
    canvas_fill(canvas, 0);
    canvas_line(canvas, 0, 0, 29, 29, RED);
    testing_need(test, pixels_of(canvas, RED) == 30 && canvas_pixel(canvas, 17, 17) == RED);
    canvas_fill(canvas, 0);
    canvas_line(canvas, 35, 20, 5, 20, WHITE);
    testing_need(test, pixels_of(canvas, WHITE) == 31);
    canvas_fill(canvas, 0);
    canvas_circle(canvas, 20, 15, 10, WHITE);
    testing_need(test, canvas_pixel(canvas, 30, 15) == WHITE && canvas_pixel(canvas, 10, 15) == WHITE);
    testing_need(test, canvas_pixel(canvas, 20, 5) == WHITE && canvas_pixel(canvas, 20, 25) == WHITE);
    testing_need(test, canvas_pixel(canvas, 20, 15) == 0);
}

static void clipping(const struct testing *test)
{
    OWN(canvas) struct canvas *canvas = canvas_new(16, 16);

    testing_need(test, canvas);
    canvas_rectangle(canvas, -5, -5, 8, 8, RED);
    testing_need(test, pixels_of(canvas, RED) == 9);
    canvas_rectangle(canvas, 10, 10, 0x7fffffff, 0x7fffffff, RED);
    testing_need(test, pixels_of(canvas, RED) == 9 + 36);
    canvas_rectangle(canvas, 4, 4, -3, 2, WHITE);
    canvas_rectangle(canvas, 100, 0, 5, 5, WHITE);
    canvas_line(canvas, -2000000000, 3, 2000000000, 3, WHITE);
    testing_need(test, pixels_of(canvas, WHITE) == 16);
    canvas_circle(canvas, -100, -100, 20, 0x123456);
    canvas_circle(canvas, 8, 8, 2000000000, 0x123456);
    canvas_circle(canvas, 8, 8, -4, 0x654321);
    testing_need(test, pixels_of(canvas, 0x123456) == 0);
    testing_need(test, canvas_pixel(canvas, -1, 0) == 0 && canvas_pixel(canvas, 0, 16) == 0);
}

static void refused(const struct testing *test)
{
    testing_need(test, !canvas_new(0, 5) && !canvas_new(5, 0) && !canvas_new(5000, 5) && !canvas_new(5, 5000));
    canvas_put(NULL);
}

static void frames_are_right(const struct testing *test)
{
    OWN(canvas) struct canvas *canvas = canvas_new(FRAMES_WIDTH, FRAMES_HEIGHT);

    testing_need(test, canvas);
    for (uint32_t i = 0; i < array_size(frames); i++) {
        canvas_animate(canvas, i);
        testing_need(test, canvas_checksum(canvas) == frames[i]);
    }
    canvas_animate(canvas, CANVAS_FRAMES);
    testing_need(test, canvas_checksum(canvas) == frames[0]);
}

static int test_canvas_main(int, char **)
{
    struct testing test = testing_begin("test_canvas");

    shapes(&test);
    test = testing_begin("test_canvas");
    shapes(&test);
    testing_ok(&test, "shapes lie where they should");
    clipping(&test);
    testing_ok(&test, "nothing is drawn outside");
    refused(&test);
    testing_ok(&test, "sizes out of range are refused");
    frames_are_right(&test);
    testing_ok(&test, "frames have the checksums that the host computes");
    testing_end(&test);
}
MAIN(test_canvas_main);
