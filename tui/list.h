/* A scrolling list of rows with a selection, a filter and column heads. The selection stays on the same thing when the
 * rows are refreshed, which happens several times a second. */
#pragma once
#include "introspect/table.h"
#include "tui/canvas.h"

#define LIST_TEXT_BYTES 400
#define LIST_NAME_BYTES 132

/* What Enter on a row shows. */
enum link_kind { LINK_NONE, LINK_CELL, LINK_SECTION, LINK_TASK, LINK_FAULT, LINK_DEPENDENCIES };

struct link {
    enum link_kind kind;
    uint32_t index; /* in the arena table; LINK_FAULT: the sequence number, LINK_DEPENDENCIES: of a cell */
};

struct list_row {
    char text[LIST_TEXT_BYTES];
    char name[LIST_NAME_BYTES]; /* that it stands for, "NAMESPACE/CELL"; or "" */
    uint64_t id;                /* the same thing has the same id in the next refresh */
    enum style style;
    struct link link;
};

enum { LIST_PATTERN = 64 };

struct list {
    struct list_row *row; /* owned */
    size_t rows, capacity;
    char head[LIST_TEXT_BYTES]; /* column heads; "" for none */
    struct table_layout layout; /* of records, and of what is sorted by */
    int sort;                   /* place of the column that rows are sorted by, from 1; 0: as they come */
    bool descending;
    char filter[LIST_PATTERN]; /* rows without it are left out (list_matches) */
    size_t selected, top;
    uint64_t selected_id;
    int shift;   /* columns scrolled sideways */
    bool follow; /* keep the selection on the last row */
};

/* Frees the rows. */
void list_done(struct list *list);
void list_clear(struct list *list); /* before a refresh: removes the rows, keeps the selection */
/* Whether a pattern is in the text, letter case ignored: as it is, or as an extended regular expression. Or in the name
 * that a row stands for, "NAMESPACE/CELL", of which a pattern with a slash is the beginning. `name` may be NULL. The
 * empty pattern is everywhere. */
bool list_matches(const char *pattern, const char *name, const char *text);
/* Adds a row if the filter lets it pass; silently full when memory is out. */
__attribute__((format(printf, 5, 6))) void list_print(struct list *list, uint64_t id, enum style style,
                                                      struct link link, const char *format, ...);
/* The same for a row that stands for a name. */
__attribute__((format(printf, 6, 7))) void list_print_named(struct list *list, const char *name, uint64_t id,
                                                            enum style style, struct link link, const char *format,
                                                            ...);
/* The same for a record, as a line of the screen (introspect/table.h) in the list's layout. */
void list_add_record(struct list *list, uint64_t id, enum style style, struct link link, const struct column *columns,
                     const struct view *view, size_t record);
/* After a refresh: sorts the rows, and finds the selected row by its id. */
void list_reselect(struct list *list);
void list_move(struct list *list, long by);
/* Selects the next row (by: 1) or the one before (-1) that a pattern matches, round the end; 0: the selected one, if it
 * matches, else the next. False: no row does. */
bool list_search(struct list *list, const char *pattern, int by);
const struct list_row *list_selected(const struct list *list); /* NULL when empty */
void list_draw(struct list *list, struct canvas *canvas, struct area area, bool focused);
/* Selects the row at a screen position inside the area that it was drawn in; false: none there. */
bool list_click(struct list *list, struct area area, int row, int column);
