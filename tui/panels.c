/* See app.h. The strip of incidents below the panes, the keys in the last line, and the boxes above it all. */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include "tui/inside.h"

/* ---- the strip ---- */

enum { STRIP_OPEN_MIN = 6 };

int app_strip_rows(const struct app *app, int rows)
{
    struct incident_story story;

    if (!app->view || !app->incidents.is_open || !incidents_story(&app->incidents, app->view, &story))
        return 1;
    int wanted = story.lines + 2, most = rows / 2 - 2;
    return wanted < STRIP_OPEN_MIN ? STRIP_OPEN_MIN : wanted > most ? most : wanted;
}

/* The last seconds as columns of different height. */
static void draw_rates(const struct app *app, char *ret_text, size_t bytes)
{
    uint32_t most = 1;
    size_t at = 0;

    for (int i = 0; i < APP_RATES; i++)
        most = app->rate[i] > most ? app->rate[i] : most;
    for (int i = 0; i < APP_RATES && at + 4 < bytes; i++) {
        unsigned height = app->rate[i] * 7 / most;
        at += (size_t)snprintf(ret_text + at, bytes - at, "\xe2\x96%c", (char)(0x81 + height));
    }
    ret_text[at] = '\0';
}

static void draw_pulse(const struct app *app, struct canvas *canvas, struct area area)
{
    char rates[4 * APP_RATES];
    const struct view *v = app->view;

    if (!v)
        return;
    draw_rates(app, rates, sizeof rates);
    int at = 1 + canvas_print(canvas, area, 0, 1, STYLE_DIM, "rounds %u/s ", app->rate[APP_RATES - 1]);
    if (area.columns >= 100)
        at += canvas_print(canvas, area, 0, at, STYLE_GOOD, "%s", rates);
    at += canvas_print(canvas, area, 0, at, STYLE_DIM, "  results %" PRIu64 " right, ",
                       view_counter(v, COUNTER_checksums_ok));
    at += canvas_print(canvas, area, 0, at, view_counter(v, COUNTER_checksums_bad) ? STYLE_BAD : STYLE_DIM,
                       "%" PRIu64 " wrong", view_counter(v, COUNTER_checksums_bad));
    canvas_print(canvas, area, 0, at, STYLE_DIM, "  swaps %" PRIu64 "  incidents %" PRIu64 "%s",
                 view_counter(v, COUNTER_swaps), app->incidents.newest, app->incidents.newest ? ": b shows" : "");
}

void app_draw_strip(const struct app *app, struct canvas *canvas, struct area area)
{
    struct incident_story story;

    if (area.rows < 3 || !incidents_story(&app->incidents, app->view, &story)) {
        draw_pulse(app, canvas, area);
        return;
    }
    struct area inside = canvas_frame(canvas, area, story.style, story.title);
    int width = (int)strlen(story.state) + 2;
    if (width + (int)strlen(story.title) + 8 < area.columns)
        canvas_print(canvas, area, 0, area.columns - width - 2, story.style, " %s ", story.state);
    for (int i = 0; i < story.lines && i < inside.rows; i++)
        canvas_text(canvas, inside, i, 1, story.line[i].style, story.line[i].text);
    canvas_text(canvas, area, area.rows - 1, 3, STYLE_DIM, " f all about it   [ ] others   7 list   Esc closes ");
}

/* ---- keys in the last line ---- */

static const struct {
    const char *name, *what;
    int key;
} footer[] = {
    {"F1", "help", KEYS_F1},       {"F2", "go to", KEYS_F1 + 1},  {"F3", "search", KEYS_F1 + 2},
    {"F4", "filter", KEYS_F1 + 3}, {"F5", "users", KEYS_F1 + 4},  {"F6", "sort", KEYS_F1 + 5},
    {"F7", "swap", KEYS_F1 + 6},   {"F8", "inject", KEYS_F1 + 7}, {"F9", "pause", KEYS_F1 + 8},
    {"F10", "quit", KEYS_F10},
};
enum { FOOTER = sizeof footer / sizeof *footer };

void app_draw_footer(const struct app *app, struct canvas *canvas, struct area all, int row)
{
    int at = 0;

    for (int i = 0; i < FOOTER; i++) {
        bool paused = footer[i].key == KEYS_F1 + 8 && strcmp(app->facts.state, "paused") == 0;
        at += canvas_text(canvas, all, row, at, STYLE_KEY, footer[i].name);
        at += canvas_print(canvas, all, row, at, STYLE_PLAIN, "%s ", paused ? "go on" : footer[i].what);
    }
}

int app_footer_key(const struct app *app, int column)
{
    int at = 0;

    (void)app;
    for (int i = 0; i < FOOTER; i++) {
        at += (int)(strlen(footer[i].name) + strlen(footer[i].what)) + 1;
        if (column < at)
            return footer[i].key;
    }
    return 0;
}

/* ---- boxes ---- */

static const char *const help_text[] = {
    "A cell is a part of the system that can be exchanged while it runs. * marks",
    "what has changed in the last 3 s, red what had a fault. REFS: references to it.",
    "",
    "arrows hjk PgUp PgDn Home End  move      Tab, left, right  the other pane",
    "Enter  follow the row                    Esc  one step back, closes the strip",
    "1 sections  2 exports  3 needs  4 needed by  5 code  d dependencies  of the cell",
    "6 tasks  7 faults  8 events  9 counters  of the machine",
    "/ search, n N next, previous             & filter; both take regular expressions",
    ": go to a view, cell, symbol or command; Tab completes",
    "o O  sort by the next column, other way  < >  scroll sideways",
    "s  swap: objects that fit, the plan      u  take the last swap back",
    "i  inject: flip one bit, then watch      b  incidents   [ ] others   f all about",
    "p  pause or go on                        R  reset the machine",
    "y  the equivalent command                S  save the rows as text or JSON",
    "q, F10  quit; the machine keeps running",
};

static struct area middle(const struct canvas *canvas, int rows, int columns)
{
    columns = columns > canvas->columns ? canvas->columns : columns;
    rows = rows > canvas->rows - 2 ? canvas->rows - 2 : rows;
    return (struct area){(canvas->rows - rows) / 2, (canvas->columns - columns) / 2, rows, columns};
}

/* Of the page that is shown, then of all keys. */
static void draw_help(const struct app *app, struct canvas *canvas)
{
    const struct page *page = page_get(app->place[app->places - 1].page);
    int rows = (int)(sizeof help_text / sizeof *help_text);
    struct area inside = canvas_frame(canvas, middle(canvas, rows + 4, 84), STYLE_KEY, "keys; any one goes on");

    canvas_print(canvas, inside, 0, 1, STYLE_LINK, "%s: %s", page->name, page->help);
    for (int i = 0; i < rows; i++)
        canvas_text(canvas, inside, i + 1, 1, STYLE_PLAIN, help_text[i]);
}

static void draw_prompt(const struct app *app, struct canvas *canvas)
{
    struct area inside = canvas_frame(canvas, middle(canvas, 5, canvas->columns - 6), STYLE_KEY, app->question);
    int room = inside.columns - 3, length = (int)strlen(app->input);

    canvas_print(canvas, inside, 1, 1, STYLE_PLAIN, "%s_", app->input + (length > room ? length - room : 0));
    canvas_text(canvas, inside, 2, 1, STYLE_DIM, "Enter goes on, Ctrl-U clears, Esc gives up");
}

/* Text over as many rows as it takes; returns how many. */
static int draw_wrapped(struct canvas *canvas, struct area area, int row, const char *text)
{
    int columns = area.columns - 2, length = (int)strlen(text), rows = (length + columns - 1) / columns;

    for (int i = 0; i < rows; i++)
        canvas_print(canvas, area, row + i, 1, STYLE_PLAIN, "%.*s", columns, text + i * columns);
    return rows;
}

/* What the guest would do, as the dry run says: its last lines, which sum it up. */
static void draw_plan(const struct app *app, struct canvas *canvas, struct area area, int row)
{
    const char *line = app->plan.said;
    int lines = 0, room = area.rows - row - 2;

    if (app->plan.pid > 0 || !*line) {
        canvas_text(canvas, area, row, 1, STYLE_DIM,
                    app->plan.pid > 0 ? "asking the guest what this would do ..." : "");
        return;
    }
    for (const char *p = line; *p; p++)
        lines += *p == '\n';
    for (int i = 0; *line; i++) {
        int length = (int)strcspn(line, "\n");
        bool head = length && line[length - 1] == ':';
        if (i < room - 5 || i >= lines - 5 || lines <= room) {
            int at = i >= lines - 5 && lines > room ? room - (lines - i) : i;
            canvas_print(canvas, area, row + at, 1, head ? STYLE_KEY : STYLE_PLAIN, "%.*s", length, line);
        }
        line += length + (line[length] == '\n');
    }
}

static void draw_confirm(const struct app *app, struct canvas *canvas)
{
    bool swap = app->asking == ASK_SWAP;
    int columns = swap ? canvas->columns - 6 : 76, rows = swap ? canvas->rows - 6 : 12;
    struct area inside =
        canvas_frame(canvas, middle(canvas, rows, columns > 130 ? 130 : columns), STYLE_BAD, "run this command?");
    char text[COMMAND_WORD_BYTES * 4];

    command_text(&app->command, text, sizeof text);
    int used = draw_wrapped(canvas, inside, 0, text);
    if (swap)
        draw_plan(app, canvas, inside, used + 1);
    canvas_text(canvas, inside, inside.rows - 1, 1, STYLE_KEY,
                swap ? "Enter or y does it, any other key does not" : "y runs it, any other key does not");
}

static void draw_pick(struct app *app, struct canvas *canvas)
{
    char title[200], name[QUALIFIED_BYTES];

    app_cell_name(app, name);
    snprintf(title, sizeof title, "swap %s: objects that fit", name);
    struct area inside = canvas_frame(canvas, middle(canvas, (int)app->choices.rows + 6, 76), STYLE_KEY, title);
    list_draw(&app->choices, canvas, (struct area){inside.row, inside.column, inside.rows - 2, inside.columns}, true);
    canvas_text(canvas, inside, inside.rows - 1, 1, STYLE_DIM, "Enter shows what it would do, Esc gives up");
}

static void draw_text(struct app *app, struct canvas *canvas)
{
    int columns = canvas->columns - 4;
    struct area area = middle(canvas, (int)app->text.rows + 4, columns > 150 ? 150 : columns);
    struct area inside = canvas_frame(canvas, area, app->command.status ? STYLE_BAD : STYLE_KEY, app->text_title);

    list_draw(&app->text, canvas, (struct area){inside.row, inside.column + 1, inside.rows - 1, inside.columns - 1},
              true);
    canvas_print(canvas, inside, inside.rows - 1, 1, STYLE_DIM, "%zu/%zu  Esc closes, < > scroll%s",
                 app->text.rows ? app->text.selected + 1 : 0, app->text.rows,
                 app->undo_path[0] ? "; u takes the swap back" : "");
}

void app_draw_box(struct app *app, struct canvas *canvas)
{
    switch (app->mode) {
    case APP_HELP:
        draw_help(app, canvas);
        break;
    case APP_PROMPT:
        draw_prompt(app, canvas);
        break;
    case APP_CONFIRM:
        draw_confirm(app, canvas);
        break;
    case APP_PICK:
        draw_pick(app, canvas);
        break;
    case APP_TEXT:
        draw_text(app, canvas);
        break;
    default:
        break;
    }
}
