/* The pages of the right pane: one per kind of list, filled from a view. Leaves out keys. */
#pragma once
#include "introspect/qualified.h"
#include "tui/flash.h"
#include "tui/list.h"

enum page_id {
    PAGE_SECTIONS,
    PAGE_EXPORTS,
    PAGE_NEEDS,
    PAGE_NEEDED_BY,
    PAGE_CODE,
    PAGE_TASKS,
    PAGE_FAULTS,
    PAGE_EVENTS,
    PAGE_COUNTERS,
    PAGE_DEPENDENCIES,
    PAGES
};

/* A page and its cell or section, which are found again by their names after a swap. */
struct place {
    enum page_id page;
    struct cell_ref cell; /* in the view that it was last found in; or none */
    struct section_ref section;
    char cell_name[QUALIFIED_BYTES], section_name[128]; /* that of the cell is qualified */
    bool live;    /* the cell was live when it was chosen; an old one is not exchanged for the new one */
    uint64_t row; /* what was selected when the page was left */
};

struct page {
    const char *name;
    char key;
    bool of_cell;                 /* about place.cell; others are about the whole machine */
    bool grows;                   /* newest last: opened at its end */
    const struct column *columns; /* NULL: the rows are no records; `title` stands above them */
    const char *title;
    const char *verb; /* of the equivalent command */
    const char *help; /* for somebody who sees it for the first time */
    void (*fill)(const struct view *view, struct place place, struct list *list);
};

/* The page of that number. */
const struct page *page_get(enum page_id id);

/* The place that shows `page` of a cell or section; none for pages about the whole machine. */
struct place page_place(const struct view *view, enum page_id page, struct cell_ref cell, struct section_ref section);
void page_find_again(const struct view *view, struct place *place); /* in a newer view */

/* The tree of namespaces and cells, for the left pane of that width, with its head. Cells that have changed lately are
 * marked with '*'. */
void page_fill_tree(const struct view *view, struct list *list, int width, struct flash *flash, int64_t now_ms);
/* The id of a cell's row in it. */
uint64_t page_tree_id(const struct view *view, struct cell_ref cell);

/* The place that Enter on a row with this link shows; false: none. */
bool page_follow(const struct view *view, struct link link, struct place *ret_place);
