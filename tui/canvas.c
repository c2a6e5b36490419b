/* See canvas.h. */
#include "tui/canvas.h"
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

bool canvas_resize(struct canvas *canvas, int rows, int columns)
{
    struct canvas_cell *cell = calloc((size_t)rows * (size_t)columns + 1, sizeof *cell);

    if (!cell)
        return false;
    canvas_done(canvas);
    *canvas = (struct canvas){.rows = rows, .columns = columns, .cell = cell};
    for (int i = 0; i < rows * columns; i++)
        cell[i].rune = ' ';
    return true;
}

void canvas_done(struct canvas *canvas)
{
    free(canvas->cell);
    *canvas = (struct canvas){};
}

/* Decodes one rune; malformed bytes and control characters become '?'. */
static uint32_t rune_next(const char **text)
{
    const unsigned char *p = (const unsigned char *)*text;
    int more = *p < 0x80 ? 0 : *p >= 0xf0 ? 3 : *p >= 0xe0 ? 2 : *p >= 0xc0 ? 1 : -1;
    uint32_t rune = more <= 0 ? *p : *p & (0x3fu >> more);

    p++;
    if (more < 0) {
        *text = (const char *)p;
        return '?';
    }
    for (; more > 0; more--, p++) {
        if ((*p & 0xc0) != 0x80) {
            *text = (const char *)p;
            return '?';
        }
        rune = rune << 6 | (*p & 0x3f);
    }
    *text = (const char *)p;
    return rune < ' ' || (rune >= 0x7f && rune < 0xa0) ? '?' : rune;
}

static void put_rune(struct canvas *canvas, struct area area, int row, int column, enum style style, uint32_t rune)
{
    int y = area.row + row, x = area.column + column;

    if (row < 0 || column < 0 || row >= area.rows || column >= area.columns)
        return;
    if (y < 0 || x < 0 || y >= canvas->rows || x >= canvas->columns)
        return;
    canvas->cell[y * canvas->columns + x] = (struct canvas_cell){rune, style};
}

int canvas_text(struct canvas *canvas, struct area area, int row, int column, enum style style, const char *text)
{
    int at = column;

    while (*text && at < area.columns)
        put_rune(canvas, area, row, at++, style, rune_next(&text));
    return at - column;
}

int canvas_print(struct canvas *canvas, struct area area, int row, int column, enum style style, const char *format,
                 ...)
{
    char text[512];
    va_list arguments;

    va_start(arguments, format);
    vsnprintf(text, sizeof text, format, arguments);
    va_end(arguments);
    return canvas_text(canvas, area, row, column, style, text);
}

void canvas_blank(struct canvas *canvas, struct area area, int row, enum style style)
{
    for (int column = 0; column < area.columns; column++)
        put_rune(canvas, area, row, column, style, ' ');
}

struct area canvas_frame(struct canvas *canvas, struct area area, enum style style, const char *title)
{
    int last_row = area.rows - 1, last_column = area.columns - 1;

    for (int row = 0; row < area.rows; row++)
        canvas_blank(canvas, area, row, STYLE_PLAIN);
    for (int column = 1; column < last_column; column++) {
        put_rune(canvas, area, 0, column, style, 0x2500);
        put_rune(canvas, area, last_row, column, style, 0x2500);
    }
    for (int row = 1; row < last_row; row++) {
        put_rune(canvas, area, row, 0, style, 0x2502);
        put_rune(canvas, area, row, last_column, style, 0x2502);
    }
    put_rune(canvas, area, 0, 0, style, 0x250c);
    put_rune(canvas, area, 0, last_column, style, 0x2510);
    put_rune(canvas, area, last_row, 0, style, 0x2514);
    put_rune(canvas, area, last_row, last_column, style, 0x2518);
    canvas_print(canvas, area, 0, 2, style, " %s ", title);
    return (struct area){area.row + 1, area.column + 1, area.rows - 2, area.columns - 2};
}

static size_t rune_put(char *to, uint32_t rune)
{
    if (rune < 0x80)
        return to[0] = (char)rune, 1;
    if (rune < 0x800)
        return to[0] = (char)(0xc0 | rune >> 6), to[1] = (char)(0x80 | (rune & 0x3f)), 2;
    to[0] = (char)(0xe0 | (rune >> 12 & 0xf)), to[1] = (char)(0x80 | (rune >> 6 & 0x3f)),
    to[2] = (char)(0x80 | (rune & 0x3f));
    return 3;
}

void canvas_row_text(const struct canvas *canvas, int row, char *ret_text, size_t bytes)
{
    size_t at = 0, end = 0;

    for (int column = 0; column < canvas->columns && at + 4 < bytes; column++) {
        uint32_t rune = canvas->cell[row * canvas->columns + column].rune;
        at += rune_put(ret_text + at, rune);
        if (rune != ' ')
            end = at;
    }
    ret_text[end] = '\0';
}
