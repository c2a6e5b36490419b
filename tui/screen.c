/* See screen.h. */
#include "tui/screen.h"
#include "introspect/base/terminal.h"
#include <locale.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <ncurses.h>
#include <term.h>

#undef columns /* a macro of term.h */
#undef lines

static bool is_open;
static attr_t attributes[STYLES];

static const struct {
    short foreground, background;
    attr_t extra, monochrome;
} looks[STYLES] = {
    [STYLE_PLAIN] = {-1, -1, A_NORMAL, A_NORMAL},
    [STYLE_TITLE] = {COLOR_BLACK, COLOR_CYAN, A_NORMAL, A_REVERSE | A_BOLD},
    [STYLE_DIM] = {-1, -1, A_DIM, A_DIM},
    [STYLE_SELECTED] = {COLOR_BLACK, COLOR_WHITE, A_NORMAL, A_REVERSE},
    [STYLE_GOOD] = {COLOR_GREEN, -1, A_NORMAL, A_NORMAL},
    [STYLE_BAD] = {COLOR_RED, -1, A_BOLD, A_BOLD},
    [STYLE_LINK] = {COLOR_CYAN, -1, A_NORMAL, A_UNDERLINE},
    [STYLE_KEY] = {COLOR_YELLOW, -1, A_BOLD, A_BOLD},
    [STYLE_NEW] = {COLOR_YELLOW, -1, A_BOLD, A_BOLD | A_UNDERLINE},
    [STYLE_ALARM] = {COLOR_WHITE, COLOR_RED, A_BOLD, A_BOLD},
};

static void choose_attributes(void)
{
    bool colours = has_colors() && !getenv("NO_COLOR");

    if (colours) {
        start_color();
        use_default_colors();
    }
    for (int i = 0; i < STYLES; i++) {
        if (colours)
            init_pair((short)(i + 1), looks[i].foreground, looks[i].background);
        attributes[i] = colours ? looks[i].extra | (attr_t)COLOR_PAIR(i + 1) : looks[i].monochrome;
    }
}

/* ---- the end by a signal ---- */

static char farewell[TERMINAL_FAREWELL];

static int add_to_farewell(int c)
{
    size_t n = strlen(farewell);

    if (n + 1 < sizeof farewell)
        farewell[n] = (char)c;
    return c;
}

static void bid(const char *sequence)
{
    if (sequence && sequence != (char *)-1)
        tputs(sequence, 1, add_to_farewell);
}

/* What curses writes at its end, and cannot write in a handler: no mouse, plain text, the cursor, the first screen. */
static void prepare_farewell(void)
{
    const char *mouse = tigetstr("XM"), *keys = tigetstr("kmous");

    memset(farewell, 0, sizeof farewell);
    if (mouse && mouse != (char *)-1)
        bid(tiparm(mouse, 0));
    else if (keys && keys != (char *)-1)
        bid("\033[?1000l");
    bid(keypad_local);
    bid(exit_attribute_mode);
    bid(orig_pair);
    bid(cursor_normal);
    bid(exit_ca_mode);
    terminal_set_farewell(farewell);
}

/* ---- opening and closing ---- */

bool screen_open(const char **ret_why)
{
    int status = 0;

    if (!isatty(STDIN_FILENO) || !isatty(STDOUT_FILENO)) {
        *ret_why = "standard input and output must be a terminal";
        return false;
    }
    if (setupterm(NULL, STDOUT_FILENO, &status) != OK) {
        *ret_why = "the terminal type in TERM is unknown; try TERM=xterm";
        return false;
    }
    const char *place = tigetstr("cup"); /* NULL, or (char *)-1: it has no way to go to a place */
    if (!place || place == (char *)-1) {
        *ret_why = "the terminal type in TERM cannot place text on the screen; try TERM=xterm";
        return false;
    }
    setlocale(LC_ALL, "");
    setlocale(LC_NUMERIC, "C");
    set_escdelay(50);
    terminal_keep(STDOUT_FILENO); /* before curses has handlers of its own */
    prepare_farewell();
    initscr();
    is_open = true;
    atexit(screen_close);
    raw();
    noecho();
    nonl();
    keypad(stdscr, TRUE);
    curs_set(0);
    mousemask(BUTTON1_CLICKED | BUTTON1_PRESSED | BUTTON1_DOUBLE_CLICKED | BUTTON4_PRESSED | BUTTON5_PRESSED, NULL);
    mouseinterval(150);
    choose_attributes();
    return true;
}

void screen_close(void)
{
    if (!is_open)
        return;
    is_open = false;
    endwin();
    terminal_give_back();
}

void screen_size(int *ret_rows, int *ret_columns)
{
    getmaxyx(stdscr, *ret_rows, *ret_columns);
}

/* Where the locale cannot show a rune: the terminal's own line drawing for frames, and '?'. */
static chtype plain_character(uint32_t rune)
{
    switch (rune) {
    case 0x2500:
        return ACS_HLINE;
    case 0x2502:
        return ACS_VLINE;
    case 0x250c:
        return ACS_ULCORNER;
    case 0x2510:
        return ACS_URCORNER;
    case 0x2514:
        return ACS_LLCORNER;
    case 0x2518:
        return ACS_LRCORNER;
    default: /* eighths of a block become a line of marks */
        return rune < 0x80 ? rune : rune >= 0x2581 && rune <= 0x2588 ? (chtype) "_.,-=+*#"[rune - 0x2581] : '?';
    }
}

void screen_show(const struct canvas *canvas)
{
    bool wide = MB_CUR_MAX > 1;

    for (int row = 0; row < canvas->rows; row++) {
        for (int column = 0; column < canvas->columns; column++) {
            const struct canvas_cell *cell = &canvas->cell[row * canvas->columns + column];
            wchar_t text[2] = {(wchar_t)cell->rune, 0};
            cchar_t shown;

            if (!wide) {
                mvaddch(row, column, plain_character(cell->rune) | attributes[cell->style]);
                continue;
            }
            setcchar(&shown, text, attributes[cell->style] & ~A_COLOR, PAIR_NUMBER(attributes[cell->style]), NULL);
            mvadd_wch(row, column, &shown);
        }
    }
    refresh();
}

static struct key_press mouse_press(void)
{
    MEVENT event;

    if (getmouse(&event) != OK)
        return (struct key_press){};
    return (struct key_press){
        .key = KEYS_MOUSE,
        .row = event.y,
        .column = event.x,
        .wheel = event.bstate & BUTTON4_PRESSED   ? -1
                 : event.bstate & BUTTON5_PRESSED ? 1
                                                  : 0,
        .twice = (event.bstate & BUTTON1_DOUBLE_CLICKED) != 0,
    };
}

static const struct {
    int curses, ours;
} keys[] = {
    {KEY_UP, KEYS_UP},       {KEY_DOWN, KEYS_DOWN},     {KEY_LEFT, KEYS_LEFT},
    {KEY_RIGHT, KEYS_RIGHT}, {KEY_PPAGE, KEYS_PAGE_UP}, {KEY_NPAGE, KEYS_PAGE_DOWN},
    {KEY_HOME, KEYS_HOME},   {KEY_END, KEYS_END},       {KEY_ENTER, KEYS_ENTER},
    {'\r', KEYS_ENTER},      {'\n', KEYS_ENTER},        {27, KEYS_ESCAPE},
    {'\t', KEYS_TAB},        {KEY_BTAB, KEYS_BACK_TAB}, {KEY_BACKSPACE, KEYS_BACKSPACE},
    {0x7f, KEYS_BACKSPACE},  {8, KEYS_BACKSPACE},       {KEY_RESIZE, KEYS_RESIZE},
};

/* The terminal was closed: reading from it returns at once from now on. */
static bool is_gone(void)
{
    struct pollfd fd = {.fd = STDIN_FILENO, .events = POLLIN};

    return poll(&fd, 1, 0) > 0 && fd.revents & (POLLHUP | POLLERR | POLLNVAL);
}

struct key_press screen_key(int timeout_ms)
{
    timeout(timeout_ms);
    int c = getch();

    if (c == ERR)
        return (struct key_press){.key = is_gone() ? KEYS_GONE : KEYS_NONE};
    if (c == KEY_MOUSE)
        return mouse_press();
    for (size_t i = 0; i < sizeof keys / sizeof *keys; i++)
        if (keys[i].curses == c)
            return (struct key_press){.key = keys[i].ours};
    if (c >= KEY_F(1) && c <= KEY_F(10))
        return (struct key_press){.key = KEYS_F1 + (c - KEY_F(1))};
    return (struct key_press){.key = c > 0 && c < 0x100 ? c : 0};
}
