/* Names of cells as people write them, in every program and file: CELL is the root's, NAMESPACE/CELL that of a
 * namespace, #INDEX a record of any state; behind a colon stands what of the cell is meant. One parser, one resolver,
 * and the messages that say what there is in place of what was named. */
#pragma once
#include <stdbool.h>
#include <stddef.h>
#include "guest/abi/err.h"
#include "introspect/view.h"

struct qualified {
    char namespace_[64]; /* "": not named, so the root */
    char cell[64];       /* or #INDEX */
    char rest[128];      /* behind the colon; "": there is no colon */
};

/* Splits [NAMESPACE/]CELL[:REST]. False: a part is empty or too long; *ret_name is untouched. */
bool qualified_parse(const char *words, struct qualified *ret_name);

enum qualified_reach {
    QUALIFIED_HELD, /* the cell that the namespace holds itself */
    QUALIFIED_SEEN, /* that it has: its own, else an inherited one */
};

struct qualified_text {
    char text[768];
};

/* Finds a cell: a live one, else one that is loading or old, if no namespace has a live one. ERR_NOT_FOUND: `ret_text`
 * says what there is not ("no cell 'a' in namespace 'b'") and what there is. On success `ret_text` is empty, or says
 * that the root's was taken because no namespace was named, and which others there are. */
enum err qualified_cell(const struct view *view, const struct qualified *name, enum qualified_reach reach,
                        struct cell_ref *ret_cell, struct qualified_text *ret_text);

/* Finds a symbol by [[NAMESPACE/]CELL.]SYMBOL; without a cell, one of the root's live cells: an exported one, else the
 * only private one of that name. ERR_NOT_FOUND: `ret_text` says what there is not, or that several have it, and which
 * do. */
enum err qualified_symbol(const struct view *view, const char *words, struct symbol_ref *ret_symbol,
                          struct qualified_text *ret_text);

enum { QUALIFIED_BYTES = 128 }; /* room for a qualified name */

/* Writes the shortest name by which qualified_cell finds a live cell: CELL of the root, NAMESPACE/CELL of others. */
void qualified_name(const struct view *view, struct cell_ref cell, char *ret_name, size_t bytes);
