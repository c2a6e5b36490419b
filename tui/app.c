/* See app.h. What keys do; app_draw.c draws. */
#include "tui/app.h"
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

static struct place *here(struct app *app)
{
    return &app->place[app->places - 1];
}

static void refill(struct app *app)
{
    const struct page *page = page_get(here(app)->page);

    list_clear(&app->tree);
    list_clear(&app->list);
    if (page->columns)
        table_screen_titles(page->columns, app->list.head, sizeof app->list.head);
    else
        snprintf(app->list.head, sizeof app->list.head, "%s", page->title);
    if (app->view) {
        page_fill_tree(app->view, &app->tree);
        page->fill(app->view, *here(app), &app->list);
    }
    list_reselect(&app->tree);
    list_reselect(&app->list);
}

static void show_place(struct app *app)
{
    app->list.selected = app->list.top = 0;
    app->list.selected_id = 0;
    app->list.filter[0] = '\0';
    app->list.follow = page_get(here(app)->page)->grows;
    refill(app);
}

static void go_to(struct app *app, struct place place)
{
    here(app)->row = app->list.selected_id;
    if (app->places == APP_PLACES) {
        memmove(app->place, app->place + 1, sizeof app->place - sizeof *app->place);
        app->places--;
    }
    app->place[app->places++] = place;
    show_place(app);
}

/* Ends a filter, or else returns to the place before, on the row that was selected there. */
static void go_to_previous(struct app *app)
{
    struct list *list = app->right_focus ? &app->list : &app->tree;

    if (list->filter[0]) {
        list->filter[0] = '\0';
        refill(app);
    } else if (app->places > 1) {
        app->places--;
        show_place(app);
        if (here(app)->row) {
            app->list.selected_id = here(app)->row;
            app->list.follow = false;
            list_reselect(&app->list);
        }
    } else {
        app->right_focus = false;
    }
}

/* The right pane shows the cell that is selected in the tree, on the page that was open. */
static void show_selected_cell(struct app *app)
{
    const struct list_row *row = list_selected(&app->tree);

    if (!app->view || !row || row->link.kind != LINK_CELL)
        return;
    enum page_id page = page_get(here(app)->page)->of_cell ? here(app)->page : PAGE_SECTIONS;
    if (page == PAGE_CODE)
        page = PAGE_SECTIONS;
    app->places = 1;
    app->place[0] = page_place(app->view, page, (struct cell_ref){row->link.index}, NO_SECTION);
    show_place(app);
}

static void select_in_tree(struct app *app, struct cell_ref cell)
{
    app->tree.selected_id = page_tree_id(app->view, cell);
    list_reselect(&app->tree);
}

static struct cell_ref current_cell(const struct app *app)
{
    struct cell_ref cell = app->place[app->places - 1].cell;
    const struct list_row *row = list_selected(&app->tree);

    if (!cell.index && row && row->link.kind == LINK_CELL)
        cell.index = row->link.index;
    return cell;
}

static void current_cell_name(const struct app *app, char ret_name[QUALIFIED_BYTES])
{
    qualified_name(app->view, current_cell(app), ret_name, QUALIFIED_BYTES);
}

static void open_page(struct app *app, enum page_id id)
{
    struct section_ref section = here(app)->section;

    if (!app->view || id == here(app)->page)
        return;
    if (id == PAGE_CODE && !app->right_focus)
        section = NO_SECTION;
    const struct list_row *row = list_selected(&app->list);
    if (id == PAGE_CODE && row && row->link.kind == LINK_SECTION && here(app)->page == PAGE_SECTIONS)
        section.index = row->link.index;
    go_to(app, page_place(app->view, id, current_cell(app), section));
    app->right_focus = true;
}

static void follow_selected(struct app *app)
{
    const struct list_row *row = list_selected(app->right_focus ? &app->list : &app->tree);
    struct place place;

    if (!app->right_focus) {
        app->right_focus = row && row->link.kind == LINK_CELL;
        return;
    }
    if (row && app->view && page_follow(app->view, row->link, &place)) {
        go_to(app, place);
        select_in_tree(app, place.cell);
    }
}

static void ask_for_words(struct app *app, int what, const char *question, const char *preset)
{
    if (!app->view || !current_cell(app).index) {
        snprintf(app->message, sizeof app->message, "choose a cell first");
        return;
    }
    if (app->command.pid > 0) {
        snprintf(app->message, sizeof app->message, "a command still runs; wait for it");
        return;
    }
    app->asking = what;
    app->question = question;
    app->mode = APP_PROMPT;
    snprintf(app->input, sizeof app->input, "%s", preset);
}

static void ask_swap(struct app *app)
{
    char preset[128];

    snprintf(preset, sizeof preset, "build/cells/%s.o", app->view ? view_cell_name(app->view, current_cell(app)) : "");
    ask_for_words(app, ASK_SWAP, "Swap in which object?", preset);
}

/* The target of an injection: the section under the selection, or the cell's text. */
static void ask_inject(struct app *app)
{
    const struct list_row *row = list_selected(&app->list);
    const char *section = ".text";
    char preset[LIST_TEXT_BYTES], name[QUALIFIED_BYTES] = "";

    if (app->view && here(app)->page == PAGE_SECTIONS && app->right_focus && row)
        section = view_section_name(app->view, (struct section_ref){row->link.index});
    else if (app->view && here(app)->page == PAGE_CODE && here(app)->section.index)
        section = view_section_name(app->view, here(app)->section);
    if (app->view)
        current_cell_name(app, name);
    snprintf(preset, sizeof preset, "cell:%s:%s", name, section);
    ask_for_words(app, ASK_INJECT, "Flip one bit in what?", preset);
}

static void build_command(struct app *app)
{
    char word[COMMAND_WORD_BYTES * 2], name[QUALIFIED_BYTES];

    app->command = (struct command){};
    if (app->asking == ASK_SWAP) {
        command_add(&app->command, "swap");
        command_add(&app->command, app->machine);
        current_cell_name(app, name);
        snprintf(word, sizeof word, "%s=%s", name, app->input);
        command_add(&app->command, word);
    } else {
        const char *words[] = {"inject", app->machine, "--into", app->input, "--model", "flip"};
        for (size_t i = 0; i < sizeof words / sizeof *words; i++)
            command_add(&app->command, words[i]);
    }
}

static void start_command(struct app *app)
{
    char text[400];

    command_text(&app->command, text, sizeof text);
    if (command_start(&app->command))
        snprintf(app->message, sizeof app->message, "running: %s", text);
    else
        snprintf(app->message, sizeof app->message, "%s", app->command.said);
}

void app_tick(struct app *app)
{
    if (command_poll(&app->command))
        snprintf(app->message, sizeof app->message, "%s: %s", app->command.status == 0 ? "done" : "failed",
                 app->command.said[0] ? app->command.said : "no output");
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

static void key_filter(struct app *app, struct key_press press)
{
    struct list *list = app->right_focus ? &app->list : &app->tree;

    if (press.key == KEYS_ESCAPE) {
        list->filter[0] = '\0';
        app->mode = APP_BROWSE;
    } else if (edit(list->filter, sizeof list->filter, press)) {
        app->mode = APP_BROWSE;
    }
    refill(app);
    if (!app->right_focus && list_selected(&app->tree) && list_selected(&app->tree)->link.kind == LINK_NONE)
        list_move(&app->tree, 1); /* from a namespace to its first cell */
    if (!app->right_focus)
        show_selected_cell(app);
}

static void key_prompt(struct app *app, struct key_press press)
{
    if (press.key == KEYS_ESCAPE) {
        app->mode = APP_BROWSE;
    } else if (edit(app->input, sizeof app->input, press) && app->input[0] && app->view) {
        build_command(app);
        app->mode = APP_CONFIRM;
    }
}

static void key_confirm(struct app *app, struct key_press press)
{
    app->mode = APP_BROWSE;
    if (press.key == 'y' || press.key == 'Y')
        start_command(app);
    else
        snprintf(app->message, sizeof app->message, "nothing was changed");
}

static void move(struct app *app, long by)
{
    list_move(app->right_focus ? &app->list : &app->tree, by);
    if (!app->right_focus)
        show_selected_cell(app);
}

static void key_mouse(struct app *app, struct key_press press)
{
    bool in_tree = press.column < app->tree_area.column + app->tree_area.columns;

    if (press.wheel) {
        app->right_focus = !in_tree;
        move(app, 3 * press.wheel);
    } else if (list_click(&app->tree, app->tree_area, press.row, press.column)) {
        app->right_focus = false;
        show_selected_cell(app);
    } else if (list_click(&app->list, app->list_area, press.row, press.column)) {
        bool again = app->right_focus && press.twice;
        app->right_focus = true;
        if (again)
            follow_selected(app);
    }
}

static void quit(struct app *app)
{
    app->quit = true;
}
static void up(struct app *app)
{
    move(app, -1);
}
static void down(struct app *app)
{
    move(app, 1);
}
static void page_up(struct app *app)
{
    move(app, -15);
}
static void page_down(struct app *app)
{
    move(app, 15);
}
static void home(struct app *app)
{
    move(app, -1000000);
}
static void go_to_end(struct app *app)
{
    app->list.follow = app->right_focus && page_get(here(app)->page)->grows;
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
static void help(struct app *app)
{
    app->mode = APP_HELP;
}

static const struct {
    int key;
    void (*act)(struct app *app);
} browse_keys[] = {
    {'q', quit},
    {KEYS_F10, quit},
    {KEYS_UP, up},
    {KEYS_DOWN, down},
    {'k', up},
    {'j', down},
    {KEYS_HOME, home},
    {KEYS_END, go_to_end},
    {KEYS_PAGE_UP, page_up},
    {KEYS_PAGE_DOWN, page_down},
    {KEYS_TAB, other_pane},
    {KEYS_BACK_TAB, other_pane},
    {KEYS_LEFT, to_tree},
    {KEYS_RIGHT, to_list},
    {KEYS_ENTER, follow_selected},
    {KEYS_ESCAPE, go_to_previous},
    {KEYS_BACKSPACE, go_to_previous},
    {'/', filter},
    {'?', help},
    {KEYS_F1, help},
    {'s', ask_swap},
    {'i', ask_inject},
};

static void key_browse(struct app *app, struct key_press press)
{
    if (press.key == KEYS_MOUSE) {
        key_mouse(app, press);
        return;
    }
    for (int id = 0; id < PAGES; id++)
        if (press.key == page_get((enum page_id)id)->key)
            open_page(app, (enum page_id)id);
    for (size_t i = 0; i < sizeof browse_keys / sizeof *browse_keys; i++)
        if (browse_keys[i].key == press.key)
            browse_keys[i].act(app);
}

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
    switch (app->mode) {
    case APP_BROWSE:
        app->message[0] = '\0';
        key_browse(app, press);
        break;
    case APP_FILTER:
        key_filter(app, press);
        break;
    case APP_PROMPT:
        key_prompt(app, press);
        break;
    case APP_CONFIRM:
        key_confirm(app, press);
        break;
    case APP_HELP:
        app->mode = APP_BROWSE;
        break;
    }
}

void app_look(struct app *app, struct view *view)
{
    view_free(app->view);
    app->view = view;
    for (int i = 0; view && i < app->places; i++)
        page_find_again(view, &app->place[i]);
    refill(app);
    if (!here(app)->cell.index && page_get(here(app)->page)->of_cell) {
        if (list_selected(&app->tree) && list_selected(&app->tree)->link.kind == LINK_NONE)
            list_move(&app->tree, 1);
        show_selected_cell(app);
    }
}

void app_init(struct app *app, const char *machine)
{
    *app = (struct app){.places = 1};
    snprintf(app->machine, sizeof app->machine, "%s", machine);
}

void app_done(struct app *app)
{
    command_stop(&app->command);
    view_free(app->view);
    list_done(&app->tree);
    list_done(&app->list);
}
