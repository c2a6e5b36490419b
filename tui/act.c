/* See app.h. What keys do to the guest, which is always what a shown command does. */
#include <stdio.h>
#include <string.h>
#include "tui/inside.h"

static bool may_change(struct app *app)
{
    if (app->readonly)
        app_say(app, "read-only: begun with --readonly");
    else if (app->command.pid > 0)
        app_say(app, "a command still runs; wait for it");
    else
        return true;
    return false;
}

static bool has_cell(struct app *app)
{
    if (app->view && app_cell(app).index)
        return true;
    app_say(app, "choose a cell first");
    return false;
}

static void add_words(struct command *command, const char *const *words)
{
    for (; *words; words++)
        command_add(command, *words);
}

static void ask_for_words(struct app *app, enum app_asking what, const char *question, const char *preset)
{
    app->asking = what;
    app->question = question;
    app->mode = APP_PROMPT;
    snprintf(app->input, sizeof app->input, "%s", preset);
}

/* ---- swaps ---- */

void app_ask_swap(struct app *app)
{
    char name[QUALIFIED_BYTES];

    if (!may_change(app) || !has_cell(app))
        return;
    app_cell_name(app, name);
    if (*name == '#') {
        app_say(app, "an old cell is not swapped; choose the live one of its name");
        return;
    }
    picker_look(&app->picker, app->view, app_cell(app));
    list_clear(&app->choices);
    app->choices.selected = app->choices.top = 0;
    picker_fill(&app->picker, &app->choices);
    app->mode = APP_PICK;
}

/* Asks the guest what the swap would do. */
static void start_plan(struct app *app)
{
    command_stop(&app->plan);
    app->plan = (struct command){};
    for (int i = 0; i < app->command.words; i++)
        command_add(&app->plan, app->command.word[i]);
    command_add(&app->plan, "--dry-run");
    if (app->may_run)
        command_start(&app->plan);
}

static void prepare_swap(struct app *app, const char *path)
{
    char word[COMMAND_WORD_BYTES * 2], name[QUALIFIED_BYTES];

    app_cell_name(app, name);
    snprintf(word, sizeof word, "%s=%s", name, path);
    app->command = (struct command){};
    add_words(&app->command, (const char *const[]){"swap", app->machine, word, NULL});
    snprintf(app->undo_cell, sizeof app->undo_cell, "%s", name);
    snprintf(app->undo_path, sizeof app->undo_path, "%s", picker_loaded(&app->picker) ?: "");
    app->mode = APP_CONFIRM;
    app->asking = ASK_SWAP;
    start_plan(app);
}

void app_pick(struct app *app)
{
    const struct list_row *row = list_selected(&app->choices);
    char preset[PICKER_PATH + 8];

    if (!row)
        return;
    if (row->id != PICKER_OTHER) {
        prepare_swap(app, app->picker.object[row->id - 1].path);
        return;
    }
    snprintf(preset, sizeof preset, "%s/", app->picker.folder);
    ask_for_words(app, ASK_SWAP, "Swap in which object?", preset);
}

void app_undo_swap(struct app *app)
{
    char word[COMMAND_WORD_BYTES * 2];

    if (!may_change(app))
        return;
    if (!app->undo_path[0]) {
        app_say(app, "no swap from here that could be taken back");
        return;
    }
    snprintf(word, sizeof word, "%s=%s", app->undo_cell, app->undo_path);
    app->command = (struct command){};
    add_words(&app->command, (const char *const[]){"swap", app->machine, word, NULL});
    app->undo_path[0] = '\0';
    app->asking = ASK_OTHER;
    app->mode = APP_BROWSE;
    app_start_command(app);
}

/* ---- injections ---- */

/* The target of an injection: the section under the selection, or the cell's text. */
void app_ask_inject(struct app *app)
{
    const struct list_row *row = list_selected(&app->list);
    const char *section = ".text";
    char preset[LIST_TEXT_BYTES], name[QUALIFIED_BYTES];

    if (!may_change(app) || !has_cell(app))
        return;
    if (app_here(app)->page == PAGE_SECTIONS && app->right_focus && row)
        section = view_section_name(app->view, (struct section_ref){row->link.index});
    else if (app_here(app)->page == PAGE_CODE && app_here(app)->section.index)
        section = view_section_name(app->view, app_here(app)->section);
    app_cell_name(app, name);
    snprintf(preset, sizeof preset, "cell:%s:%s", name, section);
    ask_for_words(app, ASK_INJECT, "Flip one bit in what?", preset);
}

/* ---- the machine ---- */

void app_toggle_pause(struct app *app)
{
    bool paused = strcmp(app->facts.state, "paused") == 0;

    if (!may_change(app))
        return;
    app->command = (struct command){};
    app->asking = ASK_OTHER;
    add_words(&app->command, (const char *const[]){paused ? "resume" : "pause", app->machine, NULL});
    app_start_command(app);
}

void app_ask_reset(struct app *app)
{
    if (!may_change(app))
        return;
    app->command = (struct command){};
    app->asking = ASK_OTHER;
    add_words(&app->command, (const char *const[]){"reset", app->machine, NULL});
    app->mode = APP_CONFIRM;
}

/* ---- what is shown, elsewhere ---- */

void app_equivalent(const struct app *app, struct command *ret_command)
{
    const struct place *place = &app->place[app->places - 1];
    const struct page *page = page_get(place->page);
    char name[QUALIFIED_BYTES], word[QUALIFIED_BYTES + 140];

    *ret_command = (struct command){};
    add_words(ret_command, (const char *const[]){page->verb, app->machine, NULL});
    if (!page->of_cell)
        return;
    app_cell_name(app, name);
    bool of_section = place->page == PAGE_CODE && place->section.index;
    snprintf(word, sizeof word, "%s%s%s", name, of_section ? ":" : "", of_section ? place->section_name : "");
    command_add(ret_command, word);
    if (place->page == PAGE_NEEDED_BY)
        command_add(ret_command, "--in");
}

void app_show_equivalent(struct app *app)
{
    struct command command;
    char text[400];

    app_equivalent(app, &command);
    command_text(&command, text, sizeof text);
    app_say(app, "$ %s", text);
}

void app_ask_save(struct app *app)
{
    const struct page *page = page_get(app_here(app)->page);
    char preset[160];

    snprintf(preset, sizeof preset, "%s-%s.txt", app->machine, page->verb);
    ask_for_words(app, ASK_SAVE, "Save as text (or NAME.json)", preset);
}

static void save_text(struct app *app)
{
    OWN(file) FILE *file = fopen(app->input, "we");
    bool good = file && fprintf(file, "%s\n", app->list.head) >= 0;

    for (size_t i = 0; good && i < app->list.rows; i++)
        good = fprintf(file, "%s\n", app->list.row[i].text) >= 0;
    if (good && fflush(file) == 0)
        app_say(app, "saved %zu rows as %s", app->list.rows, app->input);
    else
        app_say(app, "%.200s: %m", app->input);
    app->mode = APP_BROWSE;
}

static void save(struct app *app)
{
    size_t length = strlen(app->input);

    if (length < 5 || strcmp(app->input + length - 5, ".json") != 0) {
        save_text(app);
        return;
    }
    app_equivalent(app, &app->command);
    command_add(&app->command, "--json");
    snprintf(app->command.file, sizeof app->command.file, "%s", app->input);
    app->mode = APP_BROWSE;
    app_start_command(app);
}

/* ---- commands ---- */

void app_build_command(struct app *app)
{
    if (app->asking == ASK_SWAP) {
        prepare_swap(app, app->input);
    } else if (app->asking == ASK_SAVE) {
        save(app);
    } else {
        app->command = (struct command){};
        add_words(&app->command,
                  (const char *const[]){"inject", app->machine, "--into", app->input, "--model", "flip", NULL});
        app->mode = APP_CONFIRM;
    }
}

void app_start_command(struct app *app)
{
    char text[400];

    command_text(&app->command, text, sizeof text);
    if (strcmp(app->command.word[0], "inject") == 0)
        incidents_begin_cause(&app->incidents);
    if (!app->may_run)
        app_say(app, "would run: %s", text);
    else if (command_start(&app->command))
        app_say(app, "running: %s", text);
    else
        app_say(app, "%.500s", app->command.said);
}

void app_run_words(struct app *app, const char *words)
{
    char text[COMMAND_WORD_BYTES], *rest;

    if (app->command.pid > 0) {
        app_say(app, "a command still runs; wait for it");
        return;
    }
    snprintf(text, sizeof text, "%s", words);
    app->command = (struct command){};
    app->asking = ASK_OTHER;
    app->after = AFTER_SHOW_ALWAYS;
    for (char *word = strtok_r(text, " ", &rest); word; word = strtok_r(NULL, " ", &rest)) {
        command_add(&app->command, word);
        if (app->command.words == 1)
            command_add(&app->command, app->machine);
    }
    if (app->command.words)
        app_start_command(app);
}

void app_show_text(struct app *app, const char *title, const char *text)
{
    static const struct link none;
    uint64_t id = 1;

    snprintf(app->text_title, sizeof app->text_title, "%s", title);
    list_clear(&app->text);
    app->text.selected = app->text.top = 0;
    app->text.shift = 0;
    for (const char *line = text; *line; id++) {
        size_t length = strcspn(line, "\n");
        list_print(&app->text, id, STYLE_PLAIN, none, "%.*s", (int)length, line);
        line += length + (line[length] == '\n');
    }
    app->mode = APP_TEXT;
}

/* One line is a message; more are a box, unless somebody types meanwhile. */
static void show_result(struct app *app)
{
    char line[400], title[200], text[160];
    bool good = app->command.status == 0;
    size_t lines = command_last_line(&app->command, line, sizeof line);

    command_text(&app->command, text, sizeof text);
    if (app->command.file[0] && good)
        app_say(app, "saved as %s", app->command.file);
    else
        app_say(app, "%s: %.*s", good ? "done" : "failed", good ? (int)strcspn(app->command.said, "\n") : 400,
                !line[0] ? "no output"
                : good   ? app->command.said
                         : line);
    snprintf(title, sizeof title, "%s: %s", good ? "done" : "failed", text);
    if (app->mode == APP_BROWSE && (lines > 1 || app->after == AFTER_SHOW_ALWAYS))
        app_show_text(app, title, app->command.said);
    app->after = AFTER_SHOW;
}

void app_tell_incident(struct app *app)
{
    app_tell_fault(app, app->incidents.shown);
}

void app_tell_fault(struct app *app, uint64_t seq)
{
    char words[48];

    if (!seq)
        return;
    snprintf(words, sizeof words, "faults %llu", (unsigned long long)seq);
    app_run_words(app, words);
}

/* Has the incident in the strip told with lines of the source: when it is new, and once more when it is over. */
static void tell_strip(struct app *app)
{
    const struct incidents *i = &app->incidents;
    char number[24];

    if (!app->may_run || !app->view || app->teller.pid > 0 || !i->is_open || !i->shown)
        return;
    if (app->telling == i->shown && (app->told_over || !incidents_is_over(app->view, i->shown)))
        return;
    app->telling = i->shown;
    app->told_over = incidents_is_over(app->view, i->shown);
    snprintf(number, sizeof number, "%llu", (unsigned long long)i->shown);
    app->teller = (struct command){};
    add_words(&app->teller, (const char *const[]){"faults", app->machine, number, NULL});
    command_start(&app->teller);
}

void app_tick(struct app *app)
{
    if (command_poll(&app->command)) {
        if (app->command.status == 0 && strcmp(app->command.word[0], "inject") == 0)
            incidents_set_cause(&app->incidents, app->command.said);
        if (app->asking == ASK_SWAP && app->command.status != 0)
            app->undo_path[0] = '\0';
        show_result(app);
    }
    command_poll(&app->plan);
    if (command_poll(&app->teller) && app->teller.status == 0)
        incidents_tell(&app->incidents, app->telling, app->teller.said);
    tell_strip(app);
}
