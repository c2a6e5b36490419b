/* One printer for all verbs: rows of typed values under declared columns, as an aligned table for people or as JSON for
 * scripts. Leaves out where the values come from. */
#pragma once
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum column_kind {
    COLUMN_TEXT,
    COLUMN_NUMBER,
    COLUMN_SIGNED,  /* out_number with the bits of an int64_t */
    COLUMN_ADDRESS, /* in JSON a string, since a number would lose bits */
};

enum column_where {
    COLUMN_BOTH,
    COLUMN_TABLE, /* not in JSON */
    COLUMN_JSON,  /* not in the table */
};

struct column {
    const char *key; /* of JSON, and the heading of the table */
    enum column_kind kind;
    enum column_where where;
};

struct out;

/* `columns` ends with a key of NULL and must outlive it. Never NULL: the program ends when memory is out. */
struct out *out_new(const struct column *columns, bool json);
void out_free(struct out *out);

/* The next value of the row, by its column's kind; a row ends with its last column. */
void out_text(struct out *out, const char *text);
void out_number(struct out *out, uint64_t number);

size_t out_rows(const struct out *out);

/* Prints all rows and forgets them. JSON: one array. */
void out_print(struct out *out);
/* JSON: one object per line; tables: rows with the widths seen so far, the heading only the first time. */
void out_stream(struct out *out);

/* All rows of one that was made for JSON, which forgets them: an array, the caller's. */
struct json_t *out_take(struct out *out);
