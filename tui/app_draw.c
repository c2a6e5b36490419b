/* How the screen looks: title, tree, page, message and keys, and the boxes above them. */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include "introspect/reference.h"
#include "tui/app.h"

static const char *const help_text[] = {
    "arrows, PgUp/PgDn, Home/End   move          Tab   the other pane",
    "Enter   follow the row: an edge to its other end, a task to its code",
    "Esc     clears a filter; else back to where you came from",
    "",
    "1 sections   2 exports   3 needs   4 needed by   5 code   of the cell",
    "6 tasks   7 faults   8 events   9 counters   of the machine",
    "",
    "/       show only rows that contain a text",
    "s       swap the cell for another object",
    "i       inject: flip one bit",
    "        both show the equivalent command and ask before they act",
    "",
    "q, F10  quit; the machine keeps running",
};

/* Counters of the guest, as many as fit beside the machine's name and state. */
static void draw_title(const struct app *app, struct canvas *canvas, struct area all)
{
    char right[160], cells[32], edges[32], rounds[32];
    int left, width;

    canvas_blank(canvas, all, 0, STYLE_TITLE);
    left = 1 + canvas_print(canvas, all, 0, 1, STYLE_TITLE, "Delias  %s  (%s)", app->machine, app->state);
    if (!app->view)
        return;
    snprintf(cells, sizeof cells, "%zu cells  ", view_count(app->view, ARENA_CELLS));
    snprintf(edges, sizeof edges, "%zu edges  ", view_count(app->view, ARENA_EDGES));
    snprintf(rounds, sizeof rounds, "rounds %" PRIu64 "  ", view_counter(app->view, COUNTER_rounds));
    for (unsigned less = 0; less < 4; less++) {
        width = snprintf(right, sizeof right, "%s%s%sbad %" PRIu64 "  faults %" PRIu64, less < 2 ? cells : "",
                         less < 1 ? edges : "", less < 3 ? rounds : "", view_counter(app->view, COUNTER_checksums_bad),
                         view_counter(app->view, COUNTER_faults));
        if (left + 2 + width < all.columns) {
            canvas_text(canvas, all, 0, all.columns - width - 1, STYLE_TITLE, right);
            return;
        }
    }
}

/* What keeps the current cell loaded. */
static void draw_references(const struct app *app, struct canvas *canvas, struct area all, int row)
{
    const struct place *place = &app->place[app->places - 1];

    if (!app->view || !page_get(place->page)->of_cell || !view_cell(app->view, place->cell))
        return;
    struct references r = references_of(app->view, place->cell);
    canvas_print(canvas, all, row, 1, STYLE_DIM,
                 "held by %u edges, %zu tasks  edges %zu out %zu in %zu inside  of object %u", r.holders, r.tasks,
                 r.out, r.in, r.inside, r.object_cells);
}

static void draw_bottom(const struct app *app, struct canvas *canvas, struct area all)
{
    const struct list *list = app->right_focus ? &app->list : &app->tree;
    int row = all.rows - 2;

    if (app->mode == APP_FILTER)
        canvas_print(canvas, all, row, 1, STYLE_KEY, "/%s_", list->filter);
    else if (app->message[0])
        canvas_text(canvas, all, row, 1, STYLE_KEY, app->message);
    else if (list->filter[0])
        canvas_print(canvas, all, row, 1, STYLE_KEY, "/%s", list->filter);
    else if (app->view && view_damage_count(app->view))
        canvas_print(canvas, all, row, 1, STYLE_BAD, "damaged metadata: %zu, first: %s", view_damage_count(app->view),
                     view_damage(app->view, 0)->text);
    else
        draw_references(app, canvas, all, row);
    canvas_text(canvas, all, row + 1, 1, STYLE_DIM,
                "?help 1-5 cell 6tasks 7faults 8events 9counters /filter s swap i inject q quit");
}

static struct area middle(const struct canvas *canvas, int rows, int columns)
{
    columns = columns > canvas->columns ? canvas->columns : columns;
    return (struct area){(canvas->rows - rows) / 2, (canvas->columns - columns) / 2, rows, columns};
}

static void draw_help(struct canvas *canvas)
{
    int rows = (int)(sizeof help_text / sizeof *help_text);
    struct area inside = canvas_frame(canvas, middle(canvas, rows + 2, 74), STYLE_KEY, "keys");

    for (int i = 0; i < rows; i++)
        canvas_text(canvas, inside, i, 1, STYLE_PLAIN, help_text[i]);
}

static void draw_prompt(const struct app *app, struct canvas *canvas)
{
    struct area inside = canvas_frame(canvas, middle(canvas, 5, 74), STYLE_KEY, app->question);

    canvas_print(canvas, inside, 1, 1, STYLE_PLAIN, "%s_", app->input);
    canvas_text(canvas, inside, 2, 1, STYLE_DIM, "Enter goes on, Ctrl-U clears, Esc gives up");
}

static void draw_confirm(const struct app *app, struct canvas *canvas)
{
    enum { COLUMNS = 72, ROWS = 9 };
    char text[COLUMNS * ROWS];

    command_text(&app->command, text, sizeof text);
    int length = (int)strlen(text), rows = (length + COLUMNS - 1) / COLUMNS;
    struct area inside = canvas_frame(canvas, middle(canvas, rows + 6, COLUMNS + 4), STYLE_BAD, "run this command?");

    for (int i = 0; i < rows; i++)
        canvas_print(canvas, inside, 1 + i, 1, STYLE_PLAIN, "%.*s", COLUMNS, text + i * COLUMNS);
    canvas_text(canvas, inside, rows + 2, 1, STYLE_KEY, "y runs it, any other key does not");
}

static void place_title(const struct app *app, char *title, size_t bytes)
{
    const struct place *place = &app->place[app->places - 1];
    const struct page *page = page_get(place->page);

    if (!app->view || !page->of_cell)
        snprintf(title, bytes, "%s", page->name);
    else if (place->page == PAGE_CODE && place->section.index)
        snprintf(title, bytes, "%s %s: code", place->cell_name, place->section_name);
    else
        snprintf(title, bytes, "%s: %s", place->cell_name, page->name);
}

static void draw_panes(struct app *app, struct canvas *canvas)
{
    int tree_columns = canvas->columns >= 110 ? 30 : 25;
    struct area left = {1, 0, canvas->rows - 3, tree_columns};
    struct area right = {1, tree_columns, canvas->rows - 3, canvas->columns - tree_columns};
    char title[160];

    place_title(app, title, sizeof title);
    app->tree_area = canvas_frame(canvas, left, app->right_focus ? STYLE_DIM : STYLE_LINK, "cells");
    app->list_area = canvas_frame(canvas, right, app->right_focus ? STYLE_LINK : STYLE_DIM, title);
    list_draw(&app->tree, canvas, app->tree_area, !app->right_focus);
    list_draw(&app->list, canvas, app->list_area, app->right_focus);
}

void app_draw(struct app *app, struct canvas *canvas)
{
    struct area all = {0, 0, canvas->rows, canvas->columns};

    for (int row = 0; row < canvas->rows; row++)
        canvas_blank(canvas, all, row, STYLE_PLAIN);
    app->too_small = canvas->rows < APP_MIN_ROWS || canvas->columns < APP_MIN_COLUMNS;
    if (app->too_small) {
        canvas_print(canvas, all, 0, 0, STYLE_BAD, "too small: needs %dx%d, has %dx%d", APP_MIN_COLUMNS, APP_MIN_ROWS,
                     canvas->columns, canvas->rows);
        canvas_text(canvas, all, 1, 0, STYLE_PLAIN, "enlarge the terminal, or q to quit");
        return;
    }
    draw_title(app, canvas, all);
    draw_panes(app, canvas);
    draw_bottom(app, canvas, all);
    if (app->mode == APP_HELP)
        draw_help(canvas);
    else if (app->mode == APP_PROMPT)
        draw_prompt(app, canvas);
    else if (app->mode == APP_CONFIRM)
        draw_confirm(app, canvas);
}
