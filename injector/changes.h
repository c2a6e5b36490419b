/* The rows of an experiment's changes, and of its moment, in a campaign's database (database.h). */
#pragma once
#include "injector/experiment.h"
#include <sqlite3.h>

#define CHANGES_COLUMNS                                                                                                \
    "(experiment INTEGER NOT NULL REFERENCES experiment (idx), n INTEGER NOT NULL, place TEXT NOT NULL,"               \
    " phys INTEGER NOT NULL, bytes INTEGER NOT NULL, bit INTEGER, keep TEXT, sets TEXT, flips TEXT, before TEXT,"      \
    " after TEXT, PRIMARY KEY (experiment, n)) WITHOUT ROWID;"

/* The tables moment and first_change have rows in campaigns that inject at a moment of something else only, and are not
 * in databases that were written before there were such. */
#define CHANGES_SCHEMA                                                                                                 \
    "CREATE TABLE IF NOT EXISTS change " CHANGES_COLUMNS "CREATE TABLE IF NOT EXISTS first_change " CHANGES_COLUMNS    \
    "CREATE TABLE IF NOT EXISTS moment ("                                                                              \
    " experiment INTEGER PRIMARY KEY REFERENCES experiment (idx), function TEXT NOT NULL, steps INTEGER NOT NULL,"     \
    " came INTEGER NOT NULL, place TEXT NOT NULL);"

/* Adds the rows of an experiment, within the caller's transaction. False: SQLite says why. */
bool changes_add(sqlite3 *sqlite, const struct experiment *experiment);
/* Reads those of experiment->index, whose model is known. False: SQLite says why. */
bool changes_get(sqlite3 *sqlite, struct experiment *experiment);
bool changes_has_moments(sqlite3 *sqlite);

/* Numbers that may use all 64 bits are kept as hexadecimal text. */
void changes_bind_hex(sqlite3_stmt *statement, int at, uint64_t value);
/* Copies the text in a column; "" when there is none. */
void changes_copy_text(char *to, size_t bytes, sqlite3_stmt *statement, int column);
