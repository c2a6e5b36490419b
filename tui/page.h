/* What can be shown in the right pane: one page per kind of list, filled from a view. Pages know no keys. */
#pragma once
#include "introspect/view.h"
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
    PAGES
};

/* A page and what it is about. What a swap has moved is found again by its name. */
struct place {
    enum page_id page;
    uint32_t cell, section; /* in the view that it was last settled in; 0: none */
    char cell_name[64], section_name[128];
    bool live;    /* the cell was when it was chosen; one that was old then is not left for the new one */
    uint64_t row; /* what was selected when the page was left */
};

struct page {
    const char *name;
    char key;
    bool of_cell; /* about place.cell; others are about the whole machine */
    bool grows;   /* newest last: opened at its end */
    const char *head;
    void (*fill)(const struct view *view, struct place place, struct list *list);
};

const struct page *page_get(enum page_id id);

struct place page_place(const struct view *view, enum page_id page, uint32_t cell, uint32_t section);
void page_settle(const struct view *view, struct place *place); /* in a newer view */

/* The tree of namespaces and cells, for the left pane, and the id of a cell's row in it. */
void page_fill_tree(const struct view *view, struct list *list);
uint64_t page_tree_id(const struct view *view, uint32_t cell);

/* Where Enter on a row with this link leads; false: nowhere. */
bool page_follow(const struct view *view, struct link link, struct place *ret_place);
