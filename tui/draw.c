/* See app.h. How the screen looks: title, tree, page, strip, message and keys. */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include "introspect/reference.h"
#include "tui/inside.h"

/* ---- the first line ---- */

/* What the machine does, in one word; and whether that is as usual. */
static const char *state_word(const struct app *app, bool *ret_usual)
{
    *ret_usual = false;
    if (strcmp(app->facts.state, "running") != 0)
        return app->facts.state;
    if (!app->view)
        return app->why_no_view[0] ? app->why_no_view : "booting";
    if (app->booting)
        return "booting";
    *ret_usual = true;
    return view_is_torn(app->view) ? "running, changing" : "running";
}

/* The name, the way back, and the state. Returns the columns used. */
static int draw_left_title(const struct app *app, struct canvas *canvas, struct area all)
{
    bool usual;
    const char *state = state_word(app, &usual);
    int at = 1 + canvas_print(canvas, all, 0, 1, STYLE_TITLE, "%s  ", app->machine);

    at += canvas_print(canvas, all, 0, at, usual ? STYLE_TITLE : STYLE_ALARM, usual ? "%s" : " %s ", state);
    if (app->facts.backend[0])
        at += canvas_print(canvas, all, 0, at, STYLE_TITLE, "  %s %u CPUs", app->facts.backend, app->facts.cpus);
    if (app->readonly)
        at += canvas_text(canvas, all, 0, at, STYLE_TITLE, "  read-only");
    return at;
}

/* Counters of the guest, as many as fit beside the machine's name and state. */
static void draw_title(const struct app *app, struct canvas *canvas, struct area all)
{
    char right[160], cells[32], edges[32], rounds[32];
    int left, width;

    canvas_blank(canvas, all, 0, STYLE_TITLE);
    left = draw_left_title(app, canvas, all);
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

/* ---- the last lines ---- */

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

static void draw_message(const struct app *app, struct canvas *canvas, struct area all, int row)
{
    const struct list *list = app->right_focus ? &app->list : &app->tree;

    if (app->mode == APP_FILTER)
        canvas_print(canvas, all, row, 1, STYLE_KEY, "filter: %s_", list->filter);
    else if (app->mode == APP_SEARCH)
        canvas_print(canvas, all, row, 1, STYLE_KEY, "/%s_   %s", app->search, app->message);
    else if (app->mode == APP_GO_TO)
        canvas_print(canvas, all, row, 1, STYLE_KEY, ":%s_   %s", app->input, app->message);
    else if (app->message[0])
        canvas_text(canvas, all, row, 1, STYLE_KEY, app->message);
    else if (list->filter[0])
        canvas_print(canvas, all, row, 1, STYLE_KEY, "filter: %s   Esc ends it", list->filter);
    else if (app->view && !app->booting && view_damage_count(app->view))
        canvas_print(canvas, all, row, 1, STYLE_BAD, "damaged metadata: %zu, first: %s", view_damage_count(app->view),
                     view_damage(app->view, 0)->text);
    else
        draw_references(app, canvas, all, row);
}

/* ---- the panes ---- */

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

/* "row 3 of 48, sorted by BYTES", in the lower edge. */
static void draw_position(struct canvas *canvas, struct area area, const struct list *list, const char *sorted)
{
    char text[120];
    int width = snprintf(text, sizeof text, " %zu/%zu%s%s ", list->rows ? list->selected + 1 : 0, list->rows,
                         *sorted ? " by " : "", sorted);

    if (width + 4 < area.columns)
        canvas_text(canvas, area, area.rows - 1, area.columns - width - 2, STYLE_DIM, text);
}

static const char *sorted_by(const struct app *app)
{
    int place = app->list.sort;

    for (const struct column *c = page_get(app->place[app->places - 1].page)->columns; place && c && c->key; c++)
        if ((int)c->screen.place == place)
            return c->screen.title;
    return "";
}

static int tree_columns(int columns)
{
    return columns >= 160 ? 54 : columns >= 110 ? 34 : 25;
}

static bool is_same_size(struct area a, struct area b)
{
    return a.columns == b.columns && a.rows == b.rows;
}

static void draw_panes(struct app *app, struct canvas *canvas, int rows)
{
    int columns = tree_columns(canvas->columns);
    struct area left = {1, 0, rows, columns};
    struct area right = {1, columns, rows, canvas->columns - columns};
    struct area tree_before = app->tree_area, list_before = app->list_area;
    char title[200];

    place_title(app, title, sizeof title);
    app->tree_area = canvas_frame(canvas, left, app->right_focus ? STYLE_DIM : STYLE_LINK, "cells");
    app->list_area = canvas_frame(canvas, right, app->right_focus ? STYLE_LINK : STYLE_DIM, title);
    if (!is_same_size(tree_before, app->tree_area) || !is_same_size(list_before, app->list_area))
        app_refill(app); /* lines are as long as there is room */
    list_draw(&app->tree, canvas, app->tree_area, !app->right_focus);
    list_draw(&app->list, canvas, app->list_area, app->right_focus);
    draw_position(canvas, left, &app->tree, "");
    draw_position(canvas, right, &app->list, sorted_by(app));
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
    int strip = app_strip_rows(app, canvas->rows);
    draw_title(app, canvas, all);
    draw_panes(app, canvas, canvas->rows - 3 - strip);
    app_draw_strip(app, canvas, (struct area){canvas->rows - 2 - strip, 0, strip, canvas->columns});
    draw_message(app, canvas, all, canvas->rows - 2);
    app->footer_row = canvas->rows - 1;
    app_draw_footer(app, canvas, all, canvas->rows - 1);
    app_draw_box(app, canvas);
}
