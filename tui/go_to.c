/* See app.h. The line behind ':': names of views, cells, symbols, and commands. */
#include <stdio.h>
#include <string.h>
#include "tui/inside.h"

enum { WORD = 160 };

/* Commands that change nothing; with --readonly there are no others. */
static const char *const reading[] = {"cell",     "cells",  "counters", "deps",  "disasm",
                                      "events",   "faults", "memory",   "ns",    "namespaces",
                                      "sections", "swaps",  "symbols",  "tasks", "verify"};
static const char *const changing[] = {"inject", "kill",   "load",  "pause", "reload",
                                       "reset",  "resume", "spawn", "swap",  "unload"};
enum { READING = sizeof reading / sizeof *reading, CHANGING = sizeof changing / sizeof *changing };

/* Calls `visit` for each candidate. Views first, then cells, symbols, commands. */
static void each_candidate(const struct app *app, void (*visit)(void *context, const char *word), void *context)
{
    char name[QUALIFIED_BYTES];

    for (int id = 0; id < PAGES; id++)
        visit(context, page_get((enum page_id)id)->name);
    if (app->view) {
        view_each_cell (cell, app->view)
            if (view_cell(app->view, cell)->state == CELL_LIVE) {
                qualified_name(app->view, cell, name, sizeof name);
                visit(context, name);
            }
        view_each_symbol (symbol, app->view)
            if (view_symbol(app->view, symbol)->access)
                visit(context, view_string(app->view, view_symbol(app->view, symbol)->name));
    }
    for (int i = 0; i < READING; i++)
        visit(context, reading[i]);
    for (int i = 0; !app->readonly && i < CHANGING; i++)
        visit(context, changing[i]);
}

/* ---- completion ---- */

struct completion {
    const char *typed;
    char common[WORD]; /* that all which fit begin with */
    char names[400];
    int count;
};

static void add_fitting(void *context, const char *word)
{
    struct completion *c = context;
    size_t used = strlen(c->names), same = 0;

    if (strncmp(word, c->typed, strlen(c->typed)) != 0)
        return;
    if (!c->count++)
        snprintf(c->common, sizeof c->common, "%s", word);
    while (c->common[same] && c->common[same] == word[same])
        same++;
    c->common[same] = '\0';
    if (used + strlen(word) + 3 < sizeof c->names)
        snprintf(c->names + used, sizeof c->names - used, "%s%s", used ? "  " : "", word);
}

void app_complete(struct app *app)
{
    char *word = strrchr(app->input, ' ') ? strrchr(app->input, ' ') + 1 : app->input;
    struct completion c = {.typed = word};

    each_candidate(app, add_fitting, &c);
    if (!c.count) {
        app_say(app, "nothing begins with %s", word);
        return;
    }
    snprintf(word, sizeof app->input - (size_t)(word - app->input), "%s", c.common);
    app_say(app, "%d: %s", c.count, c.names);
}

/* ---- going there ---- */

static bool go_to_view(struct app *app, const char *words)
{
    for (int id = 0; id < PAGES; id++)
        if (strcmp(page_get((enum page_id)id)->name, words) == 0) {
            app_open_page(app, (enum page_id)id);
            return true;
        }
    return false;
}

static bool go_to_cell(struct app *app, const char *words)
{
    struct qualified_text text;
    struct qualified name;
    struct cell_ref cell;

    if (!app->view || !qualified_parse(words, &name) || *name.rest ||
        qualified_cell(app->view, &name, QUALIFIED_HELD, &cell, &text) != ERR_OK)
        return false;
    enum page_id page = app_here(app)->page;
    if (!page_get(page)->of_cell || page == PAGE_CODE)
        page = PAGE_SECTIONS;
    app_go_to(app, page_place(app->view, page, cell, NO_SECTION));
    return true;
}

static bool go_to_symbol(struct app *app, const char *words)
{
    struct qualified_text text;
    struct symbol_ref symbol;
    struct place place;

    if (!app->view || qualified_symbol(app->view, words, &symbol, &text) != ERR_OK)
        return false;
    const struct arena_symbol *s = view_symbol(app->view, symbol);
    if (!page_follow(app->view, (struct link){LINK_SECTION, s->section.index}, &place))
        return false;
    app_go_to(app, place);
    app->right_focus = true;
    return true;
}

static bool is_one_of(const char *const *verbs, int count, const char *words)
{
    size_t length = strcspn(words, " ");

    for (int i = 0; i < count; i++)
        if (strlen(verbs[i]) == length && strncmp(verbs[i], words, length) == 0)
            return true;
    return false;
}

void app_go_to_words(struct app *app, const char *words)
{
    bool changes = is_one_of(changing, CHANGING, words);

    if (strcmp(words, "q") == 0 || strcmp(words, "quit") == 0)
        app->quit = true;
    else if (go_to_view(app, words) || go_to_cell(app, words) || go_to_symbol(app, words))
        return;
    else if (changes && app->readonly)
        app_say(app, "read-only: begun with --readonly");
    else if (changes || is_one_of(reading, READING, words))
        app_run_words(app, words);
    else
        app_say(app, "no view, cell, symbol or command is called %s", words);
}
