/* What shows on the screen: text that scrolls, in EGA memory and on a frame buffer, in the right colours, and a canvas
 * in the middle. */
/* clang-format off: variables of one are named like what the next one defines */
/* The analyzer sees the bodies of canvas_new and canvas_put here, and takes them for uses of what they make or free. */
#pragma GCC diagnostic ignored "-Wanalyzer-malloc-leak"
#pragma GCC diagnostic ignored "-Wanalyzer-use-after-free"
#include "cells/gfx/canvas/canvas.c"
#include "cells/drivers/frame_buffer/frame_buffer.c"
#include "cells/drivers/text_screen/text_screen.c"
/* clang-format on */
#include "tests/hosted/stand_in.h"
#include <check.h>
#include <stdio.h>
#include <string.h>

Suite *suite_hosted_screen(void);

enum { WIDTH = 64, HEIGHT = 80, PITCH = 4 * (WIDTH + 3) }; /* pixels of 32 bits: 8 x 5 characters */

static struct boot_info boot;
static const char *option; /* the value of canvas= */
static void (*sink)(const char *line);
static uint8_t vga_registers[16];

const struct boot_info *boot_get(void)
{
    return &boot;
}

bool boot_option(const char *key, char *ret_value, size_t bytes)
{
    if (!option || strcmp(key, "canvas") != 0)
        return false;
    snprintf(ret_value, bytes, "%s", option);
    return true;
}

enum err log_add_sink(void (*add)(const char *line))
{
    sink = add;
    return ERR_OK;
}

static unsigned vga_register(unsigned index)
{
    return (unsigned)vga_registers[index] << 8 | vga_registers[index + 1];
}

/* Where the cursor of the VGA is, from the first character that is shown. */
static unsigned cursor(void)
{
    return vga_register(EGA_CURSOR) - vga_register(EGA_START);
}

static uint8_t vga(uint16_t port, bool out, uint8_t value)
{
    static uint8_t index;

    ck_assert(out && (port == EGA_INDEX || port == EGA_VALUE));
    if (port == EGA_INDEX)
        index = value;
    else
        vga_registers[index % sizeof vga_registers] = value;
    return 0;
}

static void print(const char *text)
{
    text_screen_write(text, strlen(text));
}

/* ---- EGA text ---- */

static void setup_ega(void)
{
    stand_in_start();
    stand_in.port = vga;
    ck_assert_int_eq(frame_buffer_init(), ERR_OK);
    ck_assert_int_eq(text_screen_init(), ERR_OK);
    ck_assert_ptr_nonnull(sink);
}

/* The characters of a row, without the blanks at its end; each is light grey on black. */
static const char *row_of(unsigned y)
{
    static char text[EGA_COLUMNS + 1];
    size_t used = 0;

    for (unsigned x = 0; x < EGA_COLUMNS; x++) {
        uint16_t word = ega[vga_register(EGA_START) + y * EGA_COLUMNS + x];
        ck_assert_uint_eq(word & 0xff00, EGA_ATTRIBUTE);
        text[x] = (char)word;
        used = text[x] == ' ' ? used : x + 1;
    }
    text[used] = '\0';
    return text;
}

START_TEST(text_is_where_it_was_written)
{
    print("one\ntwo\rT\n\tx\by\n");
    print("bell\a!");
    ck_assert_str_eq(row_of(0), "one");
    ck_assert_str_eq(row_of(1), "Two");
    ck_assert_str_eq(row_of(2), "        y");
    ck_assert_str_eq(row_of(3), "bell!");
    ck_assert_uint_eq(cursor(), 3 * EGA_COLUMNS + 5);
    print("\b\b\b\b\b\b\b");
    ck_assert_uint_eq(cursor(), 3 * EGA_COLUMNS);
    sink("\nlogged");
    ck_assert_str_eq(row_of(4), "logged");
    ck_assert_uint_eq(cursor(), 5 * EGA_COLUMNS);
}
END_TEST

START_TEST(long_lines_are_broken)
{
    for (int i = 0; i < EGA_COLUMNS; i++)
        print(i < EGA_COLUMNS - 1 ? "x" : "y");
    ck_assert_int_eq(row_of(0)[EGA_COLUMNS - 1], 'y');
    ck_assert_str_eq(row_of(1), "");
    print("\n"); /* ends the full row, and makes no empty one */
    print("z");
    ck_assert_str_eq(row_of(1), "z");
}
END_TEST

START_TEST(a_full_screen_scrolls)
{
    enum { COUNT = 2 * EGA_LINES }; /* so that EGA memory is used again from its beginning */
    char line[16];

    for (unsigned i = 0; i < COUNT; i++) {
        snprintf(line, sizeof line, "%sline %u", i ? "\n" : "", i);
        print(line);
        unsigned top = i < EGA_ROWS ? 0 : i - (EGA_ROWS - 1);
        for (unsigned y = 0; y < EGA_ROWS; y++) {
            snprintf(line, sizeof line, top + y <= i ? "line %u" : "", top + y);
            ck_assert_str_eq(row_of(y), line);
        }
    }
    print("\n");
    ck_assert_str_eq(row_of(EGA_ROWS - 1), "");
    snprintf(line, sizeof line, "line %d", COUNT + 1 - EGA_ROWS);
    ck_assert_str_eq(row_of(0), line);
    ck_assert_uint_le(vga_register(EGA_START) + EGA_ROWS * EGA_COLUMNS, EGA_BYTES / sizeof *ega);
    ck_assert_uint_eq(cursor(), (EGA_ROWS - 1) * EGA_COLUMNS);
}
END_TEST

/* ---- a frame buffer ---- */

/* Blue lowest or red lowest: machines differ. */
static void setup_pixels(bool red_lowest)
{
    stand_in_start();
    boot.screen = (__typeof__(boot.screen)){.phys = 0xe0000000,
                                            .pitch = PITCH,
                                            .width = WIDTH,
                                            .height = HEIGHT,
                                            .bits = 32,
                                            .red_shift = red_lowest ? 0 : 16,
                                            .green_shift = 8,
                                            .blue_shift = red_lowest ? 16 : 0};
    ck_assert_int_eq(frame_buffer_init(), ERR_OK);
    ck_assert_ptr_nonnull(memory);
}

static uint32_t pixel(uint32_t x, uint32_t y)
{
    return row(y)[x];
}

static size_t pixels_of(uint32_t colour)
{
    const uint32_t *all = page_start(memory);
    size_t count = 0;

    for (size_t i = 0; i < PITCH / 4 * HEIGHT; i++)
        count += all[i] == colour;
    return count;
}

START_TEST(colours_are_as_the_screen_wants_them)
{
    static const uint32_t colours[] = {0xff0000, 0x00ff00, 0x0000ff, 0x123456, 0xff123456};
    static const uint32_t expected[][5] = {{0xff0000, 0x00ff00, 0x0000ff, 0x123456, 0x123456},
                                           {0x0000ff, 0x00ff00, 0xff0000, 0x563412, 0x563412}};

    setup_pixels(_i);
    frame_buffer_copy(3, 2, array_size(colours), 1, colours);
    for (uint32_t i = 0; i < array_size(colours); i++) {
        ck_assert_uint_eq(pixel(3 + i, 2), expected[_i][i]);
        frame_buffer_fill(i, 5, 1, 1, colours[i]);
        ck_assert_uint_eq(pixel(i, 5), expected[_i][i]);
    }
}
END_TEST

START_TEST(what_lies_outside_is_cut_off)
{
    static const uint32_t square[9] = {1, 2, 3, 4, 5, 6, 7, 8, 9};

    setup_pixels(false);
    frame_buffer_fill(WIDTH - 2, HEIGHT - 3, 50, 50, 0xabcdef);
    ck_assert_uint_eq(pixels_of(0xabcdef), 6);
    frame_buffer_fill(WIDTH, 0, 1, 1, 0xabcdef);
    frame_buffer_fill(0, HEIGHT, UINT32_MAX, UINT32_MAX, 0xabcdef);
    frame_buffer_fill(UINT32_MAX, UINT32_MAX, 2, 2, 0xabcdef);
    ck_assert_uint_eq(pixels_of(0xabcdef), 6);
    frame_buffer_copy(WIDTH - 2, HEIGHT - 2, 3, 3, square);
    ck_assert_uint_eq(pixel(WIDTH - 2, HEIGHT - 2), 1);
    ck_assert_uint_eq(pixel(WIDTH - 1, HEIGHT - 2), 2);
    ck_assert_uint_eq(pixel(WIDTH - 2, HEIGHT - 1), 4); /* rows of the source are three wide all the same */
    ck_assert_uint_eq(pixels_of(3) + pixels_of(6) + pixels_of(7), 0);
}
END_TEST

START_TEST(screens_of_other_kinds_are_left_alone)
{
    static const __typeof__(boot.screen) others[] = {
        {.phys = 0, .pitch = 256, .width = 64, .height = 80, .bits = 32},
        {.phys = 0xb8000, .pitch = 160, .width = 80, .height = 25, .bits = 16, .text = true},
        {.phys = 0xe0000000, .pitch = 128, .width = 64, .height = 80, .bits = 16},
        {.phys = 0xe0000000, .pitch = 252, .width = 64, .height = 80, .bits = 32},
    };
    uint32_t width, height;

    stand_in_start();
    boot.screen = others[_i];
    ck_assert_int_eq(frame_buffer_init(), ERR_OK);
    ck_assert(!frame_buffer_size(&width, &height));
    frame_buffer_fill(0, 0, 64, 80, 1);
}
END_TEST

/* Each row of a glyph is shown twice, from the second column on. */
static bool shows(unsigned x, unsigned y, char c, bool inverse)
{
    for (unsigned i = 0; i < CELL_HEIGHT; i++)
        for (unsigned j = 0; j < CELL_WIDTH; j++) {
            bool ink = j >= 1 && j <= FONT_WIDTH && font[c - ' '][i / 2] & 1 << (FONT_WIDTH - j);
            if (pixel(x * CELL_WIDTH + j, y * CELL_HEIGHT + i) != (ink != inverse ? INK : PAPER))
                return false;
        }
    return true;
}

START_TEST(characters_are_drawn_and_scroll)
{
    setup_pixels(false);
    ck_assert_int_eq(text_screen_init(), ERR_OK);
    ck_assert_uint_eq(pixels_of(PAPER), WIDTH * HEIGHT);
    print("A?");
    ck_assert(shows(0, 0, 'A', false) && shows(1, 0, '?', false) && shows(2, 0, ' ', true));
    print("\200\rB");
    ck_assert(shows(0, 0, 'B', false) && shows(1, 0, '?', true) && shows(2, 0, '?', false) && shows(3, 0, ' ', false));
    print("\nC\nD\nE\nF\n");
    for (unsigned y = 0; y < 4; y++)
        ck_assert(shows(0, y, (char)('C' + y), false) && shows(1, y, ' ', false));
    ck_assert(shows(0, 4, ' ', true) && shows(7, 4, ' ', false));
}
END_TEST

START_TEST(a_canvas_is_shown_in_the_middle)
{
    setup_pixels(true);
    OWN(canvas) struct canvas *canvas = canvas_new(20, 10);
    ck_assert_ptr_nonnull(canvas);
    canvas_rectangle(canvas, 0, 0, 20, 10, 0x0000aa);
    canvas_rectangle(canvas, 3, 2, 1, 1, 0x112233);
    ck_assert_int_eq(canvas_show(canvas), ERR_UNSUPPORTED); /* nobody asked for it */
    option = "no";
    ck_assert_int_eq(canvas_show(canvas), ERR_UNSUPPORTED);
    ck_assert_uint_eq(pixels_of(0), PITCH / 4 * HEIGHT);
    option = "screen";
    ck_assert_int_eq(canvas_show(canvas), ERR_OK);
    ck_assert_uint_eq(pixels_of(0xaa0000), 199);
    ck_assert_uint_eq(pixel((WIDTH - 20) / 2, (HEIGHT - 10) / 2), 0xaa0000);
    ck_assert_uint_eq(pixel((WIDTH - 20) / 2 + 3, (HEIGHT - 10) / 2 + 2), 0x332211);
}
END_TEST

Suite *suite_hosted_screen(void)
{
    Suite *s = suite_create("hosted screen");
    TCase *text = tcase_create("EGA"), *pixels = tcase_create("frame buffer");

    tcase_add_checked_fixture(text, setup_ega, NULL);
    tcase_add_test(text, text_is_where_it_was_written);
    tcase_add_test(text, long_lines_are_broken);
    tcase_add_test(text, a_full_screen_scrolls);
    suite_add_tcase(s, text);
    tcase_add_loop_test(pixels, colours_are_as_the_screen_wants_them, 0, 2);
    tcase_add_test(pixels, what_lies_outside_is_cut_off);
    tcase_add_loop_test(pixels, screens_of_other_kinds_are_left_alone, 0, 4);
    tcase_add_test(pixels, characters_are_drawn_and_scroll);
    tcase_add_test(pixels, a_canvas_is_shown_in_the_middle);
    suite_add_tcase(s, pixels);
    return s;
}
