/* A campaign's database: SQLite, one row per experiment, written before the next one starts. Whoever writes holds a
 * lock on the file; readers need none. */
#pragma once
#include "injector/experiment.h"
#include "injector/plan.h"
#include "introspect/base/own.h"

struct database; /* several threads may pin and add at a time */

enum database_use { DATABASE_READ, DATABASE_WRITE };

/* ERR_EXISTS when there is such a file. */
enum err database_create(const char *path, const struct plan *plan, struct database **ret_database, struct why *why);
/* ERR_BUSY: another campaign writes to it. One of an earlier format is brought up to date when it is opened to be
 * written. */
enum err database_open(const char *path, enum database_use use, struct database **ret_database, struct why *why);
void database_close(struct database *database); /* accepts NULL */
OWNABLE(database, database_close)
void database_discard(struct database *database); /* closes one that was created in vain, and removes it */

/* The campaign file as it was. */
enum err database_plan(struct database *database, struct plan *ret_plan, struct why *why);

/* Sets `key` once; later it must be the same. ERR_INVALID names what differs. */
enum err database_pin(struct database *database, const char *key, const char *value, struct why *why);
/* Copies the value of `key`; "" when there is none. */
void database_setting(struct database *database, const char *key, char *ret_value, size_t bytes);

/* Whether the experiment is in the database. */
bool database_has(struct database *database, uint64_t index);
/* Adds an experiment, on the disk when this returns. On failure `why` names the file. */
enum err database_add(struct database *database, const struct experiment *experiment, struct why *why);

/* What replays it: target, changes with their places, moments; and its outcome. ERR_NOT_FOUND. */
enum err database_get(struct database *database, uint64_t index, struct experiment *ret_experiment, struct why *why);

/* Calls `visit` for every target and pair of outcomes with at least one experiment, in order of targets. */
typedef void database_visit(void *context, const char *target, const enum outcome outcome[OUTCOME_RULES],
                            uint64_t count);
enum err database_tally(struct database *database, database_visit *visit, void *context, struct why *why);
/* The same for every moment of a campaign that injects while the guest does something else; "": those to which the
 * moment did not come. */
enum err database_tally_moments(struct database *database, database_visit *visit, void *context, struct why *why);

/* The time of workers that all experiments took together, clean starts included. */
uint64_t database_time_ms(struct database *database);

/* The tables of another one can be read too by database_select, as other.TABLE. Once. ERR_UNSUPPORTED: that has an
 * earlier format. */
enum err database_attach(struct database *database, const struct database *other, struct why *why);

/* Whether its experiments say what was left after recovery: not in earlier formats. */
bool database_has_residue(const struct database *database);

/* Calls `visit` for each row of a SELECT, with its columns as text, NULL for those that have no value; false: no more.
 * ERR_UNSUPPORTED: the database has an earlier format, with fewer columns (docs/campaigns.md). */
typedef bool database_row(void *context, const char *const *column);
enum err database_select(struct database *database, const char *sql, database_row *visit, void *context,
                         struct why *why);
