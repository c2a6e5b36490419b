/* A scrolling list of rows with a selection, a filter and column heads. The selection stays on the same thing when the
 * rows are refreshed, which happens several times a second. */
#pragma once
#include "introspect/table.h"
#include "tui/canvas.h"

#define LIST_TEXT_BYTES 240

/* What Enter on a row shows. */
enum link_kind { LINK_NONE, LINK_CELL, LINK_SECTION, LINK_TASK };

struct link {
    enum link_kind kind;
    uint32_t index; /* in the arena table */
};

struct list_row {
    char text[LIST_TEXT_BYTES];
    uint64_t id; /* the same thing has the same id in the next refresh */
    enum style style;
    struct link link;
};

struct list {
    struct list_row *row; /* owned */
    size_t rows, capacity;
    char head[LIST_TEXT_BYTES]; /* column heads; "" for none */
    char filter[64];            /* rows without it are left out (list_passes) */
    size_t selected, top;
    uint64_t selected_id;
    bool follow; /* keep the selection on the last row */
};

/* Frees the rows. */
void list_done(struct list *list);
void list_clear(struct list *list); /* before a refresh: removes the rows, keeps the selection */
/* Whether the filter lets a row pass: it is part of the text, letter case ignored; or of the name that the row stands
 * for, "NAMESPACE/CELL", of which a filter with a slash is the beginning. `name` may be NULL. */
bool list_passes(const struct list *list, const char *name, const char *text);
/* Adds a row if the filter lets it pass; silently full when memory is out. */
__attribute__((format(printf, 5, 6))) void list_print(struct list *list, uint64_t id, enum style style,
                                                      struct link link, const char *format, ...);
/* The same for a row that stands for a name. */
__attribute__((format(printf, 6, 7))) void list_print_named(struct list *list, const char *name, uint64_t id,
                                                            enum style style, struct link link, const char *format,
                                                            ...);
/* The same for a record, as a line of the screen (introspect/table.h). */
void list_add_record(struct list *list, uint64_t id, enum style style, struct link link, const struct column *columns,
                     const struct view *view, size_t record);
void list_reselect(struct list *list); /* after a refresh: finds the selected row by its id */
void list_move(struct list *list, long by);
const struct list_row *list_selected(const struct list *list); /* NULL when empty */
void list_draw(struct list *list, struct canvas *canvas, struct area area, bool focused);
/* Selects the row at a screen position inside the area that it was drawn in; false: none there. */
bool list_click(struct list *list, struct area area, int row, int column);
