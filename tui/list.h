/* A scrolling list of rows with a selection, a filter and column heads. The selection stays on the same thing when the
 * rows are made anew, which happens several times a second. */
#pragma once
#include "tui/canvas.h"

#define LIST_TEXT_BYTES 240

/* What a row leads to when Enter is pressed on it. */
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
    char filter[64];            /* rows without it are left out, letter case ignored */
    size_t selected, top;
    uint64_t selected_id;
    bool follow; /* keep the selection on the last row */
};

void list_done(struct list *list);
void list_clear(struct list *list); /* before a refresh: forgets rows, keeps the place */
/* Adds a row if the filter lets it pass; silently full when memory is out. */
__attribute__((format(printf, 5, 6))) void list_add(struct list *list, uint64_t id, enum style style, struct link link,
                                                    const char *format, ...);
void list_settle(struct list *list); /* after a refresh: finds the selection again */
void list_move(struct list *list, long by);
const struct list_row *list_selected(const struct list *list); /* NULL when empty */
void list_draw(struct list *list, struct canvas *canvas, struct area area, bool focused);
/* Selects the row at a screen position inside the area that it was drawn in; false: none there. */
bool list_click(struct list *list, struct area area, int row, int column);
