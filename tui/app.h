/* The program without its terminal: what keys do and how the whole screen looks. Time and guest come in as views; what
 * is to be done to the guest goes out as commands. */
#pragma once
#include "introspect/view.h"
#include "tui/canvas.h"
#include "tui/command.h"
#include "tui/list.h"
#include "tui/page.h"
#include "tui/screen.h"

enum { APP_PLACES = 32, APP_MIN_ROWS = 24, APP_MIN_COLUMNS = 80 };

enum app_mode { APP_BROWSE, APP_FILTER, APP_PROMPT, APP_CONFIRM, APP_HELP };

struct app {
    char machine[64];
    char state[96];         /* "kvm, running", or why there is no view */
    struct view *view;      /* owned; NULL while the guest shows nothing */
    struct list tree, list; /* left and right pane */
    bool right_focus;
    struct place place[APP_PLACES]; /* the current one is the last */
    int places;
    enum app_mode mode;
    char input[COMMAND_WORD_BYTES]; /* of APP_PROMPT */
    const char *question;
    enum { ASK_NONE, ASK_SWAP, ASK_INJECT } asking;
    struct command command;
    char message[600];
    struct area tree_area, list_area; /* of the last drawing, for the mouse */
    bool too_small;                   /* the last drawing showed nothing: keys must not act unseen */
    bool quit;
};

/* Begins with no view of `machine`; app_done frees what the program holds. */
void app_init(struct app *app, const char *machine);
void app_done(struct app *app);
void app_look(struct app *app, TAKES struct view *view); /* shows a new view; NULL: the guest has no arena */
void app_key(struct app *app, struct key_press press);
void app_tick(struct app *app); /* notices when a running command has ended */
void app_draw(struct app *app, struct canvas *canvas);
