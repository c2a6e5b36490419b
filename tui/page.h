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

/* A page and what it is about. */
struct place {
    enum page_id page;
    uint32_t cell, section;
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

/* The tree of namespaces and cells, for the left pane. */
void page_fill_tree(const struct view *view, struct list *list);

/* Where Enter on a row with this link leads; false: nowhere. */
bool page_follow(const struct view *view, struct link link, struct place *ret_place);
