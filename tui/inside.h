/* What the parts of the program share: see app.h. */
#pragma once
#include "tui/app.h"

/* ---- app.c ---- */

struct place *app_here(struct app *app);
void app_refill(struct app *app);
void app_go_to(struct app *app, struct place place);
/* Ends a filter, closes the strip, or else returns to the place before, on the row that was selected there. */
void app_go_back(struct app *app);
/* The right pane shows the cell that is selected in the tree, on the page that was open. */
void app_show_selected_cell(struct app *app);
void app_open_page(struct app *app, enum page_id id);
void app_follow_selected(struct app *app);
/* The cell that keys act on, which is the one that is highlighted in the tree; none. */
struct cell_ref app_cell(const struct app *app);
/* Its qualified name; of a record that is not live, "#INDEX". */
void app_cell_name(const struct app *app, char ret_name[QUALIFIED_BYTES]);
__attribute__((format(printf, 2, 3))) void app_say(struct app *app, const char *format, ...);

/* ---- act.c ---- */

void app_ask_swap(struct app *app);
void app_ask_inject(struct app *app);
void app_ask_save(struct app *app);
void app_toggle_pause(struct app *app);
void app_ask_reset(struct app *app);
void app_undo_swap(struct app *app);
/* Takes the object that is selected in the picker. */
void app_pick(struct app *app);
/* Makes the command of what was asked for, and asks whether it is to run. */
void app_build_command(struct app *app);
void app_start_command(struct app *app);
/* The command that prints what the page shows. */
void app_equivalent(const struct app *app, struct command *ret_command);
void app_show_equivalent(struct app *app);
/* Runs a verb with operands, of this machine, and shows what it says. */
void app_run_words(struct app *app, const char *words);
/* Tells about the incident that is shown, or about one. */
void app_tell_incident(struct app *app);
void app_tell_fault(struct app *app, uint64_t seq);
/* Fills the text box with lines. */
void app_show_text(struct app *app, const char *title, const char *text);

/* ---- go_to.c ---- */

/* Goes to the view, cell or symbol of that name, else runs the command. */
void app_go_to_words(struct app *app, const char *words);
/* Completes what is typed as far as all candidates agree; says which there are. */
void app_complete(struct app *app);

/* ---- panels.c ---- */

int app_strip_rows(const struct app *app, int rows);
void app_draw_strip(const struct app *app, struct canvas *canvas, struct area area);
void app_draw_box(struct app *app, struct canvas *canvas);
/* The key that a click in the footer stands for; 0: none. */
int app_footer_key(const struct app *app, int column);
void app_draw_footer(const struct app *app, struct canvas *canvas, struct area all, int row);
