/* One printer for all verbs: rows of typed values under declared columns, as an aligned table for people or as JSON for
 * scripts. Leaves out where the values come from. */
#pragma once
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include "introspect/base/own.h"
#include "introspect/table.h"

struct out;

/* Begins a table. `columns` must outlive it. Never NULL: the program ends when memory is out. */
struct out *out_new(const struct column *columns, bool json);
void out_free(struct out *out);
OWNABLE(out, out_free)

/* Add the next value of the row; which of them is called follows from the column's kind. */
void out_text(struct out *out, const char *text);
void out_number(struct out *out, uint64_t number);
/* Adds a row whose values the columns read from the view. */
void out_record(struct out *out, const struct view *view, size_t record);

/* How many rows were added and not yet printed. */
size_t out_rows(const struct out *out);

/* Prints all rows, in JSON as one array, and removes them. */
void out_print(struct out *out);
/* Prints new rows and removes them. JSON: one object per line; tables: with the widths so far, the heading only
 * once. */
void out_stream(struct out *out);

/* Returns all rows of a JSON table as an array, owned by the caller, and removes them. */
struct json_t *out_take(struct out *out);

/* Prints one JSON value, indented, and releases it. */
void out_json(TAKES struct json_t *value);
