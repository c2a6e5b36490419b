/* See app.h. Which cell and page is shown, and where one came from. */
#include "tui/app.h"
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "tui/inside.h"

enum { FIRST_WIDTH = 53, FIRST_TREE = 23 }; /* of panes that were not drawn yet */

struct place *app_here(struct app *app)
{
    return &app->place[app->places - 1];
}

void app_say(struct app *app, const char *format, ...)
{
    va_list arguments;

    va_start(arguments, format);
    vsnprintf(app->message, sizeof app->message, format, arguments);
    va_end(arguments);
}

static void lay_out_list(struct app *app, const struct page *page)
{
    int sort = app->sort[app_here(app)->page];

    app->list.sort = page->columns ? abs(sort) : 0;
    app->list.descending = sort < 0;
    if (page->columns) {
        table_lay_out(page->columns, app->list_area.columns ?: FIRST_WIDTH, &app->list.layout);
        table_screen_titles(page->columns, &app->list.layout, app->list.head, sizeof app->list.head);
    } else {
        snprintf(app->list.head, sizeof app->list.head, "%s", page->title);
    }
}

void app_refill(struct app *app)
{
    const struct page *page = page_get(app_here(app)->page);

    list_clear(&app->tree);
    list_clear(&app->list);
    lay_out_list(app, page);
    if (app->view) {
        page_fill_tree(app->view, &app->tree, app->tree_area.columns ?: FIRST_TREE, &app->flash, app->now_ms);
        page->fill(app->view, *app_here(app), &app->list);
    }
    list_reselect(&app->tree);
    list_reselect(&app->list);
}

static void show_place(struct app *app)
{
    app->list.selected = app->list.top = 0;
    app->list.selected_id = 0;
    app->list.shift = 0;
    app->list.filter[0] = '\0';
    app->list.follow = page_get(app_here(app)->page)->grows && !app->sort[app_here(app)->page];
    app_refill(app);
}

/* The tree highlights the cell of the place that is shown, even where a filter would hide it. */
static void select_in_tree(struct app *app)
{
    struct cell_ref cell = app_here(app)->cell;

    if (!app->view || !cell.index)
        return;
    app->tree.selected_id = page_tree_id(app->view, cell);
    list_reselect(&app->tree);
    const struct list_row *row = list_selected(&app->tree);
    if (row && row->id == page_tree_id(app->view, cell))
        return;
    app->tree.filter[0] = '\0';
    app->tree.selected_id = page_tree_id(app->view, cell);
    app_refill(app);
}

void app_go_to(struct app *app, struct place place)
{
    app_here(app)->row = app->list.selected_id;
    if (app->places == APP_PLACES) {
        memmove(app->place, app->place + 1, sizeof app->place - sizeof *app->place);
        app->places--;
    }
    app->place[app->places++] = place;
    show_place(app);
    select_in_tree(app);
}

void app_go_back(struct app *app)
{
    struct list *list = app->right_focus ? &app->list : &app->tree;

    if (list->filter[0]) {
        list->filter[0] = '\0';
        app_refill(app);
    } else if (app->incidents.is_open) {
        app->incidents.is_open = false;
    } else if (app->places > 1) {
        app->places--;
        show_place(app);
        select_in_tree(app);
        if (app_here(app)->row) {
            app->list.selected_id = app_here(app)->row;
            app->list.follow = false;
            list_reselect(&app->list);
        }
    } else {
        app->right_focus = false;
    }
}

void app_show_selected_cell(struct app *app)
{
    const struct list_row *row = list_selected(&app->tree);

    if (!app->view || !row || row->link.kind != LINK_CELL)
        return;
    enum page_id page = page_get(app_here(app)->page)->of_cell ? app_here(app)->page : PAGE_SECTIONS;
    if (page == PAGE_CODE)
        page = PAGE_SECTIONS;
    app->places = 1;
    app->place[0] = page_place(app->view, page, (struct cell_ref){row->link.index}, NO_SECTION);
    show_place(app);
}

struct cell_ref app_cell(const struct app *app)
{
    struct cell_ref cell = app->place[app->places - 1].cell;
    const struct list_row *row = list_selected(&app->tree);

    if (!cell.index && row && row->link.kind == LINK_CELL)
        cell.index = row->link.index;
    return cell;
}

void app_cell_name(const struct app *app, char ret_name[QUALIFIED_BYTES])
{
    struct cell_ref cell = app_cell(app);
    const struct arena_cell *c = app->view ? view_cell(app->view, cell) : NULL;

    if (!c)
        *ret_name = '\0';
    else if (c->state == CELL_LIVE)
        qualified_name(app->view, cell, ret_name, QUALIFIED_BYTES);
    else
        snprintf(ret_name, QUALIFIED_BYTES, "#%u", cell.index);
}

void app_open_page(struct app *app, enum page_id id)
{
    struct section_ref section = app_here(app)->section;

    if (!app->view || id == app_here(app)->page)
        return;
    if (id == PAGE_CODE && !app->right_focus)
        section = NO_SECTION;
    const struct list_row *row = list_selected(&app->list);
    if (id == PAGE_CODE && row && row->link.kind == LINK_SECTION && app_here(app)->page == PAGE_SECTIONS)
        section.index = row->link.index;
    app_go_to(app, page_place(app->view, id, app_cell(app), section));
    app->right_focus = true;
}

void app_follow_selected(struct app *app)
{
    const struct list_row *row = list_selected(app->right_focus ? &app->list : &app->tree);
    struct place place;

    if (!app->right_focus) {
        app->right_focus = row && row->link.kind == LINK_CELL;
        return;
    }
    if (row && row->link.kind == LINK_FAULT)
        app_tell_fault(app, row->link.index);
    else if (row && app->view && page_follow(app->view, row->link, &place))
        app_go_to(app, place);
}

/* Once a second: how many rounds the workload has done meanwhile. */
static void count_rounds(struct app *app)
{
    uint64_t rounds = view_counter(app->view, COUNTER_rounds);

    if (app->now_ms - app->rate_ms < 1000)
        return;
    memmove(app->rate, app->rate + 1, sizeof app->rate - sizeof *app->rate);
    app->rate[APP_RATES - 1] =
        app->rate_ms && rounds > app->rate_rounds
            ? (uint32_t)((rounds - app->rate_rounds) * 1000 / (uint64_t)(app->now_ms - app->rate_ms))
            : 0;
    app->rate_rounds = rounds;
    app->rate_ms = app->now_ms;
}

void app_look(struct app *app, struct view *view)
{
    view_free(app->view);
    app->view = view;
    app->booting = view && !view_header(view)->ready;
    for (int i = 0; view && i < app->places; i++)
        page_find_again(view, &app->place[i]);
    app_refill(app);
    if (!view)
        return;
    if (!app->booting)
        incidents_look(&app->incidents, view, app->now_ms);
    count_rounds(app);
    if (!app_here(app)->cell.index && page_get(app_here(app)->page)->of_cell) {
        if (list_selected(&app->tree) && list_selected(&app->tree)->link.kind == LINK_NONE)
            list_move(&app->tree, 1);
        app_show_selected_cell(app);
    }
}

void app_init(struct app *app, const char *machine)
{
    *app = (struct app){.places = 1};
    snprintf(app->machine, sizeof app->machine, "%s", machine);
    strcpy(app->facts.state, "running");
}

void app_done(struct app *app)
{
    command_stop(&app->command);
    command_stop(&app->plan);
    command_stop(&app->teller);
    view_free(app->view);
    list_done(&app->tree);
    list_done(&app->list);
    list_done(&app->choices);
    list_done(&app->text);
    flash_done(&app->flash);
}
