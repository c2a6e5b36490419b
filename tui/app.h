/* The program without its terminal: what keys do and how the whole screen looks. Time and guest come in as views; what
 * is to be done to the guest goes out as commands.
 *
 * app.c: which cell and page is shown; keys.c: what each key does; act.c: commands; go_to.c: the line behind ':';
 * draw.c: the panes; panels.c: the strip and the boxes above them. */
#pragma once
#include "introspect/view.h"
#include "tui/canvas.h"
#include "tui/command.h"
#include "tui/flash.h"
#include "tui/incident.h"
#include "tui/list.h"
#include "tui/page.h"
#include "tui/picker.h"
#include "tui/screen.h"
#include "tui/watch.h"

enum { APP_PLACES = 32, APP_MIN_ROWS = 20, APP_MIN_COLUMNS = 80, APP_RATES = 24 };

enum app_mode {
    APP_BROWSE,
    APP_FILTER, /* the rows of a pane */
    APP_SEARCH,
    APP_GO_TO,   /* the line behind ':' */
    APP_PICK,    /* an object for a swap */
    APP_PROMPT,  /* for words of a command */
    APP_CONFIRM, /* shows the command, and the plan of a swap */
    APP_TEXT,    /* what a command has said */
    APP_HELP
};

enum app_asking { ASK_NONE, ASK_SWAP, ASK_INJECT, ASK_SAVE, ASK_OTHER };

/* What may become of a command that runs. */
enum app_after { AFTER_SHOW, AFTER_SHOW_ALWAYS, AFTER_QUIET };

struct app {
    char machine[64];
    struct watch_facts facts;
    char why_no_view[96];
    struct view *view;      /* owned; NULL while the guest shows nothing */
    bool booting;           /* what the view shows is not whole yet */
    bool readonly;          /* nothing is changed */
    bool may_run;           /* commands are started; not in tests */
    int64_t now_ms;         /* set before each look */
    struct list tree, list; /* left and right pane */
    bool right_focus;
    struct place place[APP_PLACES]; /* the current one is the last */
    int places;
    int sort[PAGES]; /* place of the column that each page is sorted by; negative: the other way round; 0: none */
    enum app_mode mode;
    char input[COMMAND_WORD_BYTES]; /* of APP_PROMPT and APP_GO_TO */
    char search[LIST_PATTERN];
    const char *question;
    enum app_asking asking;
    struct command command; /* what a key has started, or is to start */
    enum app_after after;
    struct command plan;   /* the dry run of a swap that is to be confirmed */
    struct command teller; /* tells about the incident that is shown */
    uint64_t telling;
    bool told_over; /* it was told after its end */
    struct picker picker;
    struct list choices; /* of APP_PICK */
    struct list text;    /* of APP_TEXT */
    char text_title[200];
    char undo_cell[QUALIFIED_BYTES], undo_path[PICKER_PATH]; /* how the last swap is taken back; "": not known */
    char swap_path[PICKER_PATH];
    struct incidents incidents;
    struct flash flash;
    uint32_t rate[APP_RATES]; /* rounds in each of the last seconds; the newest last */
    uint64_t rate_rounds;
    int64_t rate_ms;
    char message[600];
    struct area tree_area, list_area; /* of the last drawing, for the mouse */
    int footer_row;
    bool too_small; /* the last drawing showed nothing: keys must not act unseen */
    bool quit;
};

/* Begins with no view of `machine`; app_done frees what the program holds. */
void app_init(struct app *app, const char *machine);
void app_done(struct app *app);
void app_look(struct app *app, TAKES struct view *view); /* shows a new view; NULL: the guest has no arena */
void app_key(struct app *app, struct key_press press);
void app_tick(struct app *app); /* notices when a running command has ended */
void app_draw(struct app *app, struct canvas *canvas);
