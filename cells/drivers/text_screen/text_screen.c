/* See text_screen.h. The grid is kept in memory and equals what is on the screen, so that scrolling reads no device. */
#include "cells/drivers/text_screen/text_screen.h"
#include "cells/core/boot/boot.h"
#include "cells/core/cpu/cpu.h"
#include "cells/core/lock/lock.h"
#include "cells/core/page/page.h"
#include "cells/drivers/frame_buffer/frame_buffer.h"
#include "cells/drivers/text_screen/font.h"
#include "cells/host/log/log.h"
#include "cells/lib/string/string.h"

CELL("text_screen", DRIVER, 1);
FOUNDATION();
EXPORT(text_screen_write, APPLICATION);

#define COLUMNS_MAX 160
#define ROWS_MAX    64
#define GROUP       8 /* characters; COLUMNS_MAX is a multiple */
#define CELL_WIDTH  8 /* pixels of a character on a frame buffer */
#define CELL_HEIGHT 16
#define PAPER       0x101820
#define INK         0xd0d8e0

#define EGA_PHYS      0xb8000
#define EGA_COLUMNS   80
#define EGA_ROWS      25
#define EGA_ATTRIBUTE 0x0700
#define EGA_INDEX     0x3d4
#define EGA_VALUE     0x3d5

static struct lock lock;
static unsigned columns, rows; /* 0: no screen */
static unsigned cursor_x GUARDED_BY(lock), cursor_y GUARDED_BY(lock);
static char grid[ROWS_MAX][COLUMNS_MAX] GUARDED_BY(lock);
static struct mapped_pages *ega_memory;
static volatile uint16_t *ega; /* its start; NULL: the frame buffer is used */

/* Shows each row of the font twice, and leaves a column free on either side. */
static void draw_on_frame_buffer(unsigned x, unsigned y, bool inverse) NEEDS(lock)
{
    uint32_t pixel[CELL_HEIGHT * CELL_WIDTH];
    uint32_t ink = inverse ? PAPER : INK, paper = inverse ? INK : PAPER;
    unsigned char c = (unsigned char)grid[y][x];
    const uint8_t *glyph = font[c >= ' ' && c <= '~' ? c - ' ' : '?' - ' '];

    for (unsigned i = 0; i < CELL_HEIGHT; i++)
        for (unsigned j = 0; j < CELL_WIDTH; j++) {
            bool set = j >= 1 && j <= FONT_WIDTH && glyph[i / 2] >> (FONT_WIDTH - j) & 1;
            pixel[i * CELL_WIDTH + j] = set ? ink : paper;
        }
    frame_buffer_copy(x * CELL_WIDTH, y * CELL_HEIGHT, CELL_WIDTH, CELL_HEIGHT, pixel);
}

static void draw(unsigned x, unsigned y) NEEDS(lock)
{
    if (ega)
        ega[y * columns + x] = (uint16_t)(EGA_ATTRIBUTE | (uint8_t)grid[y][x]);
    else
        draw_on_frame_buffer(x, y, false);
}

static void ega_register(uint8_t index, uint8_t value)
{
    cpu_out8(EGA_INDEX, index);
    cpu_out8(EGA_VALUE, value);
}

static void show_cursor(void) NEEDS(lock)
{
    unsigned at = cursor_y * columns + cursor_x;

    if (!ega) {
        draw_on_frame_buffer(cursor_x, cursor_y, true);
        return;
    }
    ega_register(14, (uint8_t)(at >> 8));
    ega_register(15, (uint8_t)at);
}

/* Takes over `below` in place of what is at (x, y). Draws only what changes: most of a screen is blank, and device
 * memory is slow. */
static void replace_group(unsigned x, unsigned y, const char *below) NEEDS(lock)
{
    for (unsigned i = 0; i < GROUP; i++) {
        if (grid[y][x + i] == below[i])
            continue;
        grid[y][x + i] = below[i];
        if (x + i < columns)
            draw(x + i, y);
    }
}

/* Compares several characters at once: each line of the log waits for this. */
static void scroll(void) NEEDS(lock)
{
    static const char blank[] = {[0 ... COLUMNS_MAX - 1] = ' '};

    for (unsigned y = 0; y < rows; y++) {
        const char *below = y + 1 < rows ? grid[y + 1] : blank;
        for (unsigned x = 0; x < columns; x += GROUP)
            if (__builtin_memcmp(&grid[y][x], &below[x], GROUP) != 0)
                replace_group(x, y, &below[x]);
    }
}

static void begin_line(void) NEEDS(lock)
{
    cursor_x = 0;
    if (cursor_y + 1 < rows)
        cursor_y++;
    else
        scroll();
}

static void put_printable(char c) NEEDS(lock)
{
    if (cursor_x == columns)
        begin_line();
    grid[cursor_y][cursor_x] = c;
    draw(cursor_x, cursor_y);
    cursor_x++;
}

static void put_character(char c) NEEDS(lock)
{
    switch (c) {
    case '\n':
        begin_line();
        return;
    case '\r':
        cursor_x = 0;
        return;
    case '\b':
        cursor_x -= cursor_x > 0;
        return;
    case '\t':
        do
            put_printable(' ');
        while (cursor_x % 8);
        return;
    default:
        if ((unsigned char)c >= ' ')
            put_printable(c);
    }
}

void text_screen_write(const char *text, size_t bytes)
{
    if (!columns || lock_held(&lock))
        return;
    GUARD(lock) held = lock_take(&lock);
    if (cursor_x < columns)
        draw(cursor_x, cursor_y);
    for (size_t i = 0; i < bytes; i++)
        put_character(text[i]);
    if (cursor_x < columns)
        show_cursor();
}

static void text_screen_write_line(const char *line)
{
    text_screen_write(line, string_length(line));
    text_screen_write("\n", 1);
}

static enum err find_screen(void)
{
    uint32_t width, height;

    if (frame_buffer_size(&width, &height)) {
        columns = width / CELL_WIDTH < COLUMNS_MAX ? width / CELL_WIDTH : COLUMNS_MAX;
        rows = height / CELL_HEIGHT < ROWS_MAX ? height / CELL_HEIGHT : ROWS_MAX;
        frame_buffer_fill(0, 0, width, height, PAPER);
        return ERR_OK;
    }
    if (boot_get()->screen.phys && !boot_get()->screen.text)
        return ERR_OK; /* a frame buffer of another pixel format */
    ega_memory = page_map_device(EGA_PHYS, EGA_COLUMNS * EGA_ROWS * sizeof *ega, PAGE_WRITE);
    if (!ega_memory)
        return ERR_NOMEM;
    ega = page_start(ega_memory);
    columns = EGA_COLUMNS;
    rows = EGA_ROWS;
    for (unsigned i = 0; i < EGA_COLUMNS * EGA_ROWS; i++)
        ega[i] = EGA_ATTRIBUTE | ' ';
    return ERR_OK;
}

static enum err text_screen_init(void)
{
    if (columns)
        return ERR_OK;
    memset(grid, ' ', sizeof grid);
    enum err e = find_screen();
    return e != ERR_OK || !columns ? e : log_add_sink(text_screen_write_line);
}
INIT(text_screen_init);
