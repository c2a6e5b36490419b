/* See text_screen.h. The grid is kept in memory and equals what is on the screen, so that scrolling reads no device.
 * Its lines are a ring, and EGA memory holds more lines than it shows: to scroll is to begin a line further on. */
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
#define CELL_WIDTH  8 /* pixels of a character on a frame buffer */
#define CELL_HEIGHT 16
#define PAPER       0x101820
#define INK         0xd0d8e0

#define EGA_PHYS      0xb8000
#define EGA_COLUMNS   80
#define EGA_ROWS      25
#define EGA_BYTES     0x8000
#define EGA_LINES     (EGA_BYTES / (EGA_COLUMNS * 2))
#define EGA_ATTRIBUTE 0x0700
#define EGA_INDEX     0x3d4
#define EGA_VALUE     0x3d5
#define EGA_START     12 /* registers: the first character that is shown; the cursor */
#define EGA_CURSOR    14

static struct lock lock;
static unsigned columns, rows; /* 0: no screen */
static unsigned cursor_x GUARDED_BY(lock), cursor_y GUARDED_BY(lock);
#define LINES (ROWS_MAX + 1)                           /* one more than is shown */
static char grid[LINES][COLUMNS_MAX] GUARDED_BY(lock); /* a ring */
static unsigned first GUARDED_BY(lock);                /* line of the grid that is row 0 */
static unsigned ega_first GUARDED_BY(lock);            /* line of EGA memory that is row 0 */
static struct mapped_pages *ega_memory;
static volatile uint16_t *ega; /* its start; NULL: the frame buffer is used */
SET_ONCE(columns);
SET_ONCE(rows);
SET_ONCE(ega_memory);
SET_ONCE(ega);

static char *grid_row(unsigned y) NEEDS(lock)
{
    return grid[(first + y) % LINES];
}

/* Shows each row of the font twice, and leaves a column free on either side. */
static void draw_on_frame_buffer(unsigned x, unsigned y, bool inverse) NEEDS(lock)
{
    uint32_t pixel[CELL_HEIGHT * CELL_WIDTH];
    uint32_t ink = inverse ? PAPER : INK, paper = inverse ? INK : PAPER;
    unsigned char c = (unsigned char)grid_row(y)[x];
    const uint8_t *glyph = font[c >= ' ' && c <= '~' ? c - ' ' : '?' - ' '];

    for (unsigned i = 0; i < CELL_HEIGHT; i++)
        for (unsigned j = 0; j < CELL_WIDTH; j++) {
            bool set = j >= 1 && j <= FONT_WIDTH && glyph[i / 2] >> (FONT_WIDTH - j) & 1;
            pixel[i * CELL_WIDTH + j] = set ? ink : paper;
        }
    frame_buffer_copy(x * CELL_WIDTH, y * CELL_HEIGHT, CELL_WIDTH, CELL_HEIGHT, pixel);
}

static inline void draw(unsigned x, unsigned y) NEEDS(lock)
{
    if (ega)
        ega[(ega_first + y) * columns + x] = (uint16_t)(EGA_ATTRIBUTE | (uint8_t)grid_row(y)[x]);
    else
        draw_on_frame_buffer(x, y, false);
}

/* On the EGA text screen. */
static void draw_line(unsigned y) NEEDS(lock)
{
    volatile uint16_t *to = ega + (ega_first + y) * columns;
    const char *from = grid_row(y);

    for (unsigned x = 0; x < columns; x++)
        to[x] = (uint16_t)(EGA_ATTRIBUTE | (uint8_t)from[x]);
}

/* Writes a register of 16 bits, its high byte first. */
static void ega_register(uint8_t index, unsigned value)
{
    cpu_out8(EGA_INDEX, index);
    cpu_out8(EGA_VALUE, (uint8_t)(value >> 8));
    cpu_out8(EGA_INDEX, index + 1);
    cpu_out8(EGA_VALUE, (uint8_t)value);
}

static void show_cursor(void) NEEDS(lock)
{
    unsigned at = (ega_first + cursor_y) * columns + cursor_x;

    if (!ega) {
        draw_on_frame_buffer(cursor_x, cursor_y, true);
        return;
    }
    ega_register(EGA_CURSOR, at);
}

/* Shows the screen from the next line of its memory on, and at the end of that from the first one on again. */
static void scroll_ega(void) NEEDS(lock)
{
    bool again = ++ega_first + rows > EGA_LINES;

    if (again)
        ega_first = 0;
    for (unsigned y = again ? 0 : rows - 1; y < rows; y++)
        draw_line(y);
    ega_register(EGA_START, ega_first * columns);
}

/* Draws only what differs from the line above, which was there: most of a screen is blank, and drawing is slow. */
static void scroll_frame_buffer(void) NEEDS(lock)
{
    for (unsigned y = 0; y < rows; y++) {
        const char *now = grid_row(y), *before = grid_row(y + LINES - 1);
        for (unsigned x = 0; x < columns; x++)
            if (now[x] != before[x])
                draw(x, y);
    }
}

/* Each line of the log waits for this. */
static void scroll(void) NEEDS(lock)
{
    first = (first + 1) % LINES;
    memset(grid_row(rows - 1), ' ', COLUMNS_MAX);
    if (ega)
        scroll_ega();
    else
        scroll_frame_buffer();
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
    grid_row(cursor_y)[cursor_x] = c;
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
    ega_memory = page_map_device(EGA_PHYS, EGA_BYTES, PAGE_WRITE);
    if (!ega_memory)
        return ERR_NOMEM;
    ega = page_start(ega_memory);
    columns = EGA_COLUMNS;
    rows = EGA_ROWS;
    for (unsigned i = 0; i < EGA_COLUMNS * EGA_ROWS; i++)
        ega[i] = EGA_ATTRIBUTE | ' ';
    ega_register(EGA_START, 0);
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
