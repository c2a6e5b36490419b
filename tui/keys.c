/* See app.h. What each key does in each mode. */
#include <stdio.h>
#include <string.h>
#include "tui/inside.h"

static struct list *focused(struct app *app)
{
    return app->right_focus ? &app->list : &app->tree;
}

/* Edits a line of text; true when Enter ended it. */
static bool edit(char *text, size_t bytes, struct key_press press)
{
    size_t length = strlen(text);

    if (press.key == KEYS_ENTER)
        return true;
    if (press.key == KEYS_BACKSPACE && length)
        text[length - 1] = '\0';
    else if (press.key == 0x15)
        text[0] = '\0';
    else if (press.key >= ' ' && press.key < 0x7f && length + 1 < bytes) {
        text[length] = (char)press.key;
        text[length + 1] = '\0';
    }
    return false;
}

/* From a namespace to its first cell. */
static void leave_namespace(struct app *app)
{
    if (list_selected(&app->tree) && list_selected(&app->tree)->link.kind == LINK_NONE)
        list_move(&app->tree, 1);
}

static void key_filter(struct app *app, struct key_press press)
{
    struct list *list = focused(app);

    if (press.key == KEYS_ESCAPE) {
        list->filter[0] = '\0';
        app->mode = APP_BROWSE;
    } else if (edit(list->filter, sizeof list->filter, press)) {
        app->mode = APP_BROWSE;
    }
    app_refill(app);
    if (!app->right_focus) {
        leave_namespace(app);
        app_show_selected_cell(app);
    }
}

static void search(struct app *app, int by)
{
    if (!app->search[0])
        app_say(app, "search with / first");
    else if (!list_search(focused(app), app->search, by))
        app_say(app, "nothing here matches %s", app->search);
    else if (!app->right_focus)
        app_show_selected_cell(app);
}

static void key_search(struct app *app, struct key_press press)
{
    app->message[0] = '\0';
    if (press.key == KEYS_ESCAPE)
        app->search[0] = '\0';
    else if (!edit(app->search, sizeof app->search, press) && app->search[0])
        search(app, 0);
    if (press.key == KEYS_ESCAPE || press.key == KEYS_ENTER)
        app->mode = APP_BROWSE;
}

static void key_go_to(struct app *app, struct key_press press)
{
    if (press.key == KEYS_ESCAPE) {
        app->mode = APP_BROWSE;
    } else if (press.key == KEYS_TAB) {
        app_complete(app);
    } else if (edit(app->input, sizeof app->input, press)) {
        app->mode = APP_BROWSE;
        if (app->input[0])
            app_go_to_words(app, app->input);
    }
}

static void key_prompt(struct app *app, struct key_press press)
{
    if (press.key == KEYS_ESCAPE)
        app->mode = APP_BROWSE;
    else if (edit(app->input, sizeof app->input, press) && app->input[0] && app->view)
        app_build_command(app);
}

static void key_confirm(struct app *app, struct key_press press)
{
    bool swap = app->asking == ASK_SWAP;

    app->mode = APP_BROWSE;
    command_stop(&app->plan);
    if (press.key == 'y' || press.key == 'Y' || (swap && press.key == KEYS_ENTER)) {
        app->plan = (struct command){};
        app_start_command(app);
        return;
    }
    app->plan = (struct command){};
    if (swap)
        app->undo_path[0] = '\0';
    app_say(app, "nothing was changed");
}

static long lines_of(int key)
{
    switch (key) {
    case KEYS_UP:
    case 'k':
        return -1;
    case KEYS_DOWN:
    case 'j':
        return 1;
    case KEYS_PAGE_UP:
        return -15;
    case KEYS_PAGE_DOWN:
        return 15;
    case KEYS_HOME:
        return -1000000;
    case KEYS_END:
        return 1000000;
    default:
        return 0;
    }
}

static void key_pick(struct app *app, struct key_press press)
{
    list_move(&app->choices, lines_of(press.key));
    if (press.key == KEYS_ESCAPE || press.key == 'q')
        app->mode = APP_BROWSE;
    else if (press.key == KEYS_ENTER)
        app_pick(app);
}

static void key_text(struct app *app, struct key_press press)
{
    list_move(&app->text, lines_of(press.key));
    if (press.key == '<' || press.key == '>')
        app->text.shift = app->text.shift + (press.key == '>' ? 8 : app->text.shift ? -8 : 0);
    if (press.key == KEYS_ESCAPE || press.key == 'q' || press.key == KEYS_ENTER)
        app->mode = APP_BROWSE;
    else if (press.key == 'u')
        app_undo_swap(app);
}

static void move(struct app *app, long by)
{
    list_move(focused(app), by);
    if (!app->right_focus)
        app_show_selected_cell(app);
}

static void key_mouse(struct app *app, struct key_press press)
{
    bool in_tree = press.column < app->tree_area.column + app->tree_area.columns;

    if (press.wheel) {
        app->right_focus = !in_tree;
        move(app, 3 * press.wheel);
    } else if (press.row == app->footer_row) {
        int key = app_footer_key(app, press.column);
        if (key)
            app_key(app, (struct key_press){.key = key});
    } else if (list_click(&app->tree, app->tree_area, press.row, press.column)) {
        app->right_focus = false;
        app_show_selected_cell(app);
    } else if (list_click(&app->list, app->list_area, press.row, press.column)) {
        bool again = app->right_focus && press.twice;
        app->right_focus = true;
        if (again)
            app_follow_selected(app);
    }
}

static void quit(struct app *app)
{
    app->quit = true;
}
static void go_to_end(struct app *app)
{
    app->list.follow = app->right_focus && page_get(app_here(app)->page)->grows;
    move(app, 1000000);
}
static void other_pane(struct app *app)
{
    app->right_focus = !app->right_focus;
}
static void to_tree(struct app *app)
{
    app->right_focus = false;
}
static void to_list(struct app *app)
{
    app->right_focus = true;
}
static void filter(struct app *app)
{
    app->mode = APP_FILTER;
}
static void begin_search(struct app *app)
{
    app->search[0] = '\0';
    app->mode = APP_SEARCH;
}
static void search_next(struct app *app)
{
    search(app, 1);
}
static void search_previous(struct app *app)
{
    search(app, -1);
}
static void go_to(struct app *app)
{
    app->input[0] = '\0';
    app->mode = APP_GO_TO;
}
static void help(struct app *app)
{
    app->mode = APP_HELP;
}
static void scroll_left(struct app *app)
{
    focused(app)->shift -= focused(app)->shift ? 8 : 0;
}
static void scroll_right(struct app *app)
{
    focused(app)->shift += focused(app)->shift < LIST_TEXT_BYTES ? 8 : 0;
}
static void incidents(struct app *app)
{
    incidents_toggle(&app->incidents);
}
static void incident_before(struct app *app)
{
    if (app->view)
        incidents_step(&app->incidents, app->view, -1);
}
static void incident_behind(struct app *app)
{
    if (app->view)
        incidents_step(&app->incidents, app->view, 1);
}

/* The next column that is shown, then none. */
static void sort_next(struct app *app)
{
    int *sort = &app->sort[app_here(app)->page], place = *sort < 0 ? -*sort : *sort;

    do
        place = place == TABLE_PLACES ? 0 : place + 1;
    while (place && !app->list.layout.width[place - 1]);
    *sort = page_get(app_here(app)->page)->columns ? place : 0;
    app->list.follow = false;
    app_refill(app);
}
static void sort_other_way(struct app *app)
{
    app->sort[app_here(app)->page] *= -1;
    app_refill(app);
}

static const struct {
    int key;
    void (*act)(struct app *app);
} browse_keys[] = {
    {'q', quit},
    {KEYS_F10, quit},
    {KEYS_END, go_to_end},
    {KEYS_TAB, other_pane},
    {KEYS_BACK_TAB, other_pane},
    {KEYS_LEFT, to_tree},
    {KEYS_RIGHT, to_list},
    {KEYS_ENTER, app_follow_selected},
    {KEYS_ESCAPE, app_go_back},
    {KEYS_BACKSPACE, app_go_back},
    {'/', begin_search},
    {KEYS_F1 + 2, begin_search},
    {'n', search_next},
    {'N', search_previous},
    {'&', filter},
    {KEYS_F1 + 3, filter},
    {':', go_to},
    {KEYS_F1 + 1, go_to},
    {'?', help},
    {KEYS_F1, help},
    {'<', scroll_left},
    {'>', scroll_right},
    {'o', sort_next},
    {KEYS_F1 + 5, sort_next},
    {'O', sort_other_way},
    {'b', incidents},
    {'[', incident_before},
    {']', incident_behind},
    {'f', app_tell_incident},
    {'s', app_ask_swap},
    {KEYS_F1 + 6, app_ask_swap},
    {'i', app_ask_inject},
    {KEYS_F1 + 7, app_ask_inject},
    {'u', app_undo_swap},
    {'p', app_toggle_pause},
    {KEYS_F1 + 8, app_toggle_pause},
    {'R', app_ask_reset},
    {'y', app_show_equivalent},
    {'S', app_ask_save},
};

static void key_browse(struct app *app, struct key_press press)
{
    if (press.key == KEYS_MOUSE) {
        key_mouse(app, press);
        return;
    }
    if (press.key == KEYS_F1 + 4)
        press.key = page_get(PAGE_DEPENDENCIES)->key;
    for (int id = 0; id < PAGES; id++)
        if (press.key == page_get((enum page_id)id)->key)
            app_open_page(app, (enum page_id)id);
    for (size_t i = 0; i < sizeof browse_keys / sizeof *browse_keys; i++)
        if (browse_keys[i].key == press.key) {
            browse_keys[i].act(app);
            return;
        }
    if (lines_of(press.key))
        move(app, lines_of(press.key));
}

static void key_help(struct app *app, struct key_press press)
{
    (void)press;
    app->mode = APP_BROWSE;
}

static void (*const of_mode[])(struct app *app, struct key_press press) = {
    [APP_BROWSE] = key_browse, [APP_FILTER] = key_filter,   [APP_SEARCH] = key_search,
    [APP_GO_TO] = key_go_to,   [APP_PICK] = key_pick,       [APP_PROMPT] = key_prompt,
    [APP_TEXT] = key_text,     [APP_CONFIRM] = key_confirm, [APP_HELP] = key_help,
};

void app_key(struct app *app, struct key_press press)
{
    if (press.key == KEYS_NONE || press.key == KEYS_RESIZE)
        return;
    if (press.key == KEYS_F10 || press.key == KEYS_GONE || press.key == 3) {
        app->quit = true;
        return;
    }
    if (app->too_small) {
        app->quit = press.key == 'q';
        return;
    }
    if (app->mode == APP_BROWSE)
        app->message[0] = '\0';
    of_mode[app->mode](app, press);
}
