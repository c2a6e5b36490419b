/* A grid of styled characters that panels draw into. Knows no terminal, so that what panels draw can be tested as text.
 * Text is UTF-8; control bytes are shown as '?', so hostile names cannot reach the terminal. */
#pragma once
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum style {
    STYLE_PLAIN,
    STYLE_TITLE,
    STYLE_DIM,
    STYLE_SELECTED,
    STYLE_GOOD,
    STYLE_BAD,
    STYLE_LINK,
    STYLE_KEY,
    STYLE_NEW,   /* changed within the last seconds */
    STYLE_ALARM, /* in the title: the machine does not run */
    STYLES
};

struct canvas_cell {
    uint32_t rune;
    enum style style;
};

struct canvas {
    int rows, columns;
    struct canvas_cell *cell; /* rows * columns, owned */
};

struct area {
    int row, column, rows, columns;
};

/* Makes it this size and blank; false when memory is out (the old size stays). */
bool canvas_resize(struct canvas *canvas, int rows, int columns);
void canvas_done(struct canvas *canvas);

/* Draws `text` in one row of `area`, clipped to it; returns the columns used. */
int canvas_text(struct canvas *canvas, struct area area, int row, int column, enum style style, const char *text);
__attribute__((format(printf, 6, 7))) int canvas_print(struct canvas *canvas, struct area area, int row, int column,
                                                       enum style style, const char *format, ...);
/* Fills a whole row of `area` with blanks of a style. */
void canvas_blank(struct canvas *canvas, struct area area, int row, enum style style);
/* A frame around `area` with a title; returns the area inside. */
struct area canvas_frame(struct canvas *canvas, struct area area, enum style style, const char *title);
/* One row as UTF-8 without trailing blanks, for tests. */
void canvas_row_text(const struct canvas *canvas, int row, char *ret_text, size_t bytes);
