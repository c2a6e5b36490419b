/* The terminal: shows a canvas, reads keys and the mouse. The only part that includes curses. */
#pragma once
#include "tui/canvas.h"

enum key {
    KEYS_NONE = 0, /* nothing came within the time */
    /* 1 .. 0xff: that character */
    KEYS_UP = 0x100,
    KEYS_DOWN,
    KEYS_LEFT,
    KEYS_RIGHT,
    KEYS_PAGE_UP,
    KEYS_PAGE_DOWN,
    KEYS_HOME,
    KEYS_END,
    KEYS_ENTER,
    KEYS_ESCAPE,
    KEYS_TAB,
    KEYS_BACK_TAB,
    KEYS_BACKSPACE,
    KEYS_RESIZE,
    KEYS_GONE,  /* there is no terminal any more */
    KEYS_MOUSE, /* `row`, `column`, `wheel` say what */
    KEYS_F1,    /* F1 .. F10 follow each other */
    KEYS_F10 = KEYS_F1 + 9,
};

struct key_press {
    int key;
    int row, column;
    int wheel;  /* -1 up, 1 down, 0: a click */
    bool twice; /* double click */
};

/* Begins to use the terminal. False: standard output is no terminal that curses knows, and *ret_why says so. */
bool screen_open(const char **ret_why);
void screen_close(void); /* restores the terminal; may be called twice, and by an exit handler */
void screen_size(int *ret_rows, int *ret_columns);
void screen_show(const struct canvas *canvas);
struct key_press screen_key(int timeout_ms);
