/* The tables that the contents of a machine are listed in. For each kind of record: the columns, their keys in JSON,
 * their place on a narrow screen, and how a value is read from a view. Leaves out which records are listed, and
 * printing. */
#pragma once
#include "introspect/view.h"

enum column_kind {
    COLUMN_TEXT,
    COLUMN_NUMBER,
    COLUMN_SIGNED,  /* the bits of an int64_t */
    COLUMN_ADDRESS, /* in JSON a string, since a number would lose bits */
};

enum column_where {
    COLUMN_BOTH,
    COLUMN_TABLE,  /* not in JSON */
    COLUMN_JSON,   /* not in the table */
    COLUMN_SCREEN, /* in neither */
};

struct column_value {
    uint64_t number;  /* of all kinds but COLUMN_TEXT */
    const char *text; /* of COLUMN_TEXT: borrowed from the view, or in `buffer` */
    char buffer[512];
};

struct column_screen {
    unsigned place; /* from the left, from 1; 0: not on the screen */
    const char *title;
    int width; /* in characters, at least */
    int rank;  /* 0: always shown; on a line without room those of the highest rank are left out first */
    int grow;  /* its share of what is left of the line */
};

struct column {
    const char *key; /* of JSON, and the heading of the table; NULL ends the columns */
    enum column_kind kind;
    enum column_where where;
    struct column_screen screen;
    /* Reads the value of one record; NULL: its rows are made by hand. */
    void (*read)(const struct view *view, size_t record, struct column_value *ret);
};

/* `record` is the index of a record in the arena. */
extern const struct column table_namespaces[], table_cells[], table_sections[], table_symbols[], table_edges[],
    table_tasks[];
/* `record` is the index of an edge: of those from one cell, and of those to it. For screens only. */
extern const struct column table_needs[], table_needed_by[];
/* `record` is a position in a ring, as for view_fault(), view_event(), view_swap(). */
extern const struct column table_faults[], table_events[], table_swaps[];
/* `record` is an enum arena_counter. */
extern const struct column table_counters[];

/* The cell of a logged fault's namespace and name, which may be another one by now; none: the log names none, or it is
 * gone. */
struct cell_ref table_fault_cell(const struct view *view, const struct arena_fault *fault);

/* Bytes of a cell's regions in memory. */
uint64_t table_cell_bytes(const struct arena_cell *cell);

/* ---- screens ---- */

enum { TABLE_PLACES = 16 };

/* How wide each column is on a line of a screen. */
struct table_layout {
    int width[TABLE_PLACES]; /* by place, from 0 on; 0: left out */
};
/* Leaves columns out, and lets others grow, until they fill a line of `width` characters. */
void table_lay_out(const struct column *columns, int width, struct table_layout *ret_layout);

/* One line for a screen: the titles of the columns, or a record. A text that is cut ends with '~'. */
void table_screen_titles(const struct column *columns, const struct table_layout *layout, char *ret_line, size_t bytes);
void table_screen_line(const struct column *columns, const struct table_layout *layout, const struct view *view,
                       size_t record, char *ret_line, size_t bytes);
