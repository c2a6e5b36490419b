/* See database.h. */
#include "injector/database.h"
#include "injector/changes.h"
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <sqlite3.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <unistd.h>

/* An earlier format is read as it is, and becomes the newest when something is written: 1 has neither the columns of an
 * experiment from delivered_wrong on nor a second outcome, 2 not those from part on, 3 not residue. */
enum { FORMAT = 4 };

struct database {
    sqlite3 *sqlite;
    int format;
    int lock;                /* closed after sqlite: closing any descriptor of the file would drop SQLite's own locks */
    pthread_mutex_t changes; /* one thread writes at a time, and looks before it does */
    char path[MACHINE_PATH_MAX];
};

static const char schema[] =
    "PRAGMA journal_mode = WAL;"
    "PRAGMA synchronous = NORMAL;"
    "CREATE TABLE IF NOT EXISTS campaign (key TEXT PRIMARY KEY, value TEXT NOT NULL) WITHOUT ROWID;"
    "CREATE TABLE IF NOT EXISTS experiment ("
    " idx INTEGER PRIMARY KEY, build_id TEXT NOT NULL, seed TEXT NOT NULL, target TEXT NOT NULL, model TEXT NOT NULL,"
    " backend TEXT NOT NULL, at_round INTEGER, delay_ms INTEGER, outcome TEXT NOT NULL, rounds INTEGER,"
    " checksums_bad INTEGER, faults INTEGER, unrecovered INTEGER, recoveries INTEGER, restarts INTEGER,"
    " reloads INTEGER, crashed INTEGER, halted INTEGER, fault_kind INTEGER, fault_vector INTEGER, fault_ip TEXT,"
    " fault_address TEXT, fault_task TEXT, fault_cell TEXT, fault_section TEXT, fault_symbol TEXT,"
    " fault_offset INTEGER, fault_message TEXT, recovery_ns INTEGER, start_ms INTEGER, run_ms INTEGER,"
    " delivered_wrong INTEGER, delivered_lost INTEGER, delivered_twice INTEGER, outcome_thesis TEXT,"
    " delay_switches INTEGER, part TEXT, kind TEXT, activated INTEGER, cause TEXT, cause_thesis TEXT,"
    " lost_action INTEGER, lost_cell TEXT, lost_symbol TEXT, lost_message TEXT,"
    " residue TEXT);" CHANGES_SCHEMA;

/* The outcome as the thesis counts, of a row of format 1. */
#define OLD_OUTCOME_THESIS                                                                                             \
    "CASE WHEN outcome <> 'wrong' THEN outcome WHEN unrecovered > 0 THEN 'failed' WHEN reloads > 0 THEN 'reload' "     \
    "WHEN faults > 0 THEN 'restart' ELSE 'benign' END"

static const char *const updates[FORMAT] = {
    [1] = "BEGIN IMMEDIATE;"
          "ALTER TABLE experiment ADD COLUMN delivered_wrong INTEGER;"
          "ALTER TABLE experiment ADD COLUMN delivered_lost INTEGER;"
          "ALTER TABLE experiment ADD COLUMN delivered_twice INTEGER;"
          "ALTER TABLE experiment ADD COLUMN outcome_thesis TEXT;"
          "ALTER TABLE experiment ADD COLUMN delay_switches INTEGER;"
          "UPDATE experiment SET outcome_thesis = " OLD_OUTCOME_THESIS ";"
          "UPDATE campaign SET value = '2' WHERE key = 'format';"
          "COMMIT;",
    [2] = "BEGIN IMMEDIATE;"
          "ALTER TABLE experiment ADD COLUMN part TEXT;"
          "ALTER TABLE experiment ADD COLUMN kind TEXT;"
          "ALTER TABLE experiment ADD COLUMN activated INTEGER;"
          "ALTER TABLE experiment ADD COLUMN cause TEXT;"
          "ALTER TABLE experiment ADD COLUMN cause_thesis TEXT;"
          "ALTER TABLE experiment ADD COLUMN lost_action INTEGER;"
          "ALTER TABLE experiment ADD COLUMN lost_cell TEXT;"
          "ALTER TABLE experiment ADD COLUMN lost_symbol TEXT;"
          "ALTER TABLE experiment ADD COLUMN lost_message TEXT;"
          "UPDATE campaign SET value = '3' WHERE key = 'format';"
          "COMMIT;",
    [3] = "BEGIN IMMEDIATE;"
          "ALTER TABLE experiment ADD COLUMN residue TEXT;"
          "UPDATE campaign SET value = '4' WHERE key = 'format';"
          "COMMIT;",
};

/* The system could not read or write a file; says nothing of what is in it. */
static bool is_system_failure(struct database *d)
{
    int code = sqlite3_errcode(d->sqlite);

    return code == SQLITE_IOERR || code == SQLITE_CANTOPEN || code == SQLITE_FULL || code == SQLITE_BUSY;
}

static enum err failed(struct database *d, struct why *why)
{
    int system = is_system_failure(d) ? sqlite3_system_errno(d->sqlite) : 0;

    return why_set(why, ERR_IO, "database %s: %s%s%s", d->path, sqlite3_errmsg(d->sqlite), system ? ": " : "",
                   system ? strerror(system) : "");
}

static enum err take_lock(struct database *d, bool create, struct why *why)
{
    d->lock = open(d->path, O_RDWR | O_CLOEXEC | (create ? O_CREAT | O_EXCL : 0), 0666);
    if (d->lock < 0)
        return why_set(why, errno == EEXIST ? ERR_EXISTS : ERR_IO, "database %s: %s%s", d->path, strerror(errno),
                       errno == EEXIST ? "; `delias campaign resume` continues it, or name another with --output" : "");
    if (flock(d->lock, LOCK_EX | LOCK_NB) != 0)
        return why_set(why, ERR_BUSY, "database %s: another campaign is writing to it", d->path);
    return ERR_OK;
}

static enum err open_sqlite(struct database *d, enum database_use use, struct why *why)
{
    int flags = use == DATABASE_WRITE ? SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE : SQLITE_OPEN_READWRITE;

    if (sqlite3_open_v2(d->path, &d->sqlite, flags, NULL) != SQLITE_OK) {
        /* A reader in a folder that it may not write to. */
        sqlite3_close(d->sqlite);
        if (use == DATABASE_WRITE || sqlite3_open_v2(d->path, &d->sqlite, SQLITE_OPEN_READONLY, NULL) != SQLITE_OK)
            return failed(d, why);
    }
    sqlite3_busy_timeout(d->sqlite, 5000);
    if (use == DATABASE_WRITE && sqlite3_exec(d->sqlite, schema, NULL, NULL, NULL) != SQLITE_OK)
        return failed(d, why);
    return ERR_OK;
}

/* Closes a database that could not be opened, or not be filled; what was created for it goes with it. */
static void abandon_database(struct database *d, bool create)
{
    bool ours = create && d->lock >= 0;
    char path[sizeof d->path];

    memcpy(path, d->path, sizeof path);
    database_close(d);
    if (ours)
        unlink(path);
}

static enum err check_format(struct database *d, struct why *why)
{
    char format[16];

    database_setting(d, "format", format, sizeof format);
    if (!*format && is_system_failure(d))
        return failed(d, why);
    d->format = *format && !format[1] ? *format - '0' : 0;
    if (d->format < 1 || d->format > FORMAT)
        return why_set(why, ERR_CORRUPT, "database %s: %s", d->path,
                       *format ? "written by another version" : "is not a campaign's database");
    return ERR_OK;
}

/* Each format becomes the next one. */
static enum err update_format(struct database *d, struct why *why)
{
    while (d->format < FORMAT && sqlite3_exec(d->sqlite, updates[d->format], NULL, NULL, NULL) == SQLITE_OK)
        d->format++;
    if (d->format == FORMAT)
        return ERR_OK;
    enum err e = failed(d, why);
    sqlite3_exec(d->sqlite, "ROLLBACK", NULL, NULL, NULL);
    return e;
}

void database_discard(struct database *database)
{
    abandon_database(database, true);
}

static enum err open_any(const char *path, enum database_use use, bool create, struct database **ret_database,
                         struct why *why)
{
    struct database *d = calloc(1, sizeof *d);

    if (!d)
        return why_set(why, ERR_NOMEM, "out of memory");
    d->lock = -1;
    pthread_mutex_init(&d->changes, NULL);
    snprintf(d->path, sizeof d->path, "%s", path);
    enum err e = ERR_OK;
    if (!create && access(path, R_OK) != 0)
        e = why_set(why, ERR_NOT_FOUND, "database %s: %s", path, strerror(errno));
    if (e == ERR_OK && use == DATABASE_WRITE)
        e = take_lock(d, create, why);
    if (e == ERR_OK)
        e = open_sqlite(d, use, why);
    if (e == ERR_OK && !create)
        e = check_format(d, why);
    if (e == ERR_OK && use == DATABASE_WRITE && !create)
        e = update_format(d, why);
    if (e != ERR_OK) {
        abandon_database(d, create);
        return e;
    }
    *ret_database = d;
    return ERR_OK;
}

enum err database_create(const char *path, const struct plan *plan, struct database **ret_database, struct why *why)
{
    struct database *d = NULL;
    enum err e = open_any(path, DATABASE_WRITE, true, &d, why);

    if (e != ERR_OK)
        return e;
    d->format = FORMAT;
    char count[32], seed[32];
    snprintf(count, sizeof count, "%llu", (unsigned long long)plan->count);
    snprintf(seed, sizeof seed, "%llu", (unsigned long long)plan->seed);
    char format[16];
    snprintf(format, sizeof format, "%d", FORMAT);
    const char *const settings[][2] = {{"folder", plan->folder}, {"file", plan->text},         {"count", count},
                                       {"seed", seed},           {"model", plan->model_words}, {"format", format}};
    for (size_t i = 0; i < sizeof settings / sizeof *settings && e == ERR_OK; i++)
        e = database_pin(d, settings[i][0], settings[i][1], why);
    for (unsigned i = 0; i < plan->parts && e == ERR_OK; i++) {
        char key[PLAN_TEXT_MAX + 16];
        snprintf(key, sizeof key, "file %s", plan->part[i].file);
        e = database_pin(d, key, plan->part[i].text, why);
    }
    if (e != ERR_OK) {
        abandon_database(d, true);
        return e;
    }
    *ret_database = d;
    return ERR_OK;
}

enum err database_open(const char *path, enum database_use use, struct database **ret_database, struct why *why)
{
    return open_any(path, use, false, ret_database, why);
}

void database_close(struct database *d)
{
    if (!d)
        return;
    /* Without its log it is one file, which can be read where nothing may be written. A reader keeps it as it is. */
    if (d->sqlite && d->lock >= 0) {
        sqlite3_busy_timeout(d->sqlite, 0);
        sqlite3_exec(d->sqlite, "PRAGMA journal_mode = DELETE", NULL, NULL, NULL);
    }
    sqlite3_close(d->sqlite);
    if (d->lock >= 0)
        close(d->lock);
    free(d);
}

static void finalize(sqlite3_stmt **statement)
{
    sqlite3_finalize(*statement);
}

/* The value of a key, owned by the caller; NULL: there is none, or no memory. */
static char *setting(struct database *d, const char *key)
{
    sqlite3_stmt *s = NULL;
    char *value = NULL;

    if (sqlite3_prepare_v2(d->sqlite, "SELECT value FROM campaign WHERE key = ?", -1, &s, NULL) == SQLITE_OK) {
        sqlite3_bind_text(s, 1, key, -1, SQLITE_STATIC);
        if (sqlite3_step(s) == SQLITE_ROW && sqlite3_column_text(s, 0))
            value = strdup((const char *)sqlite3_column_text(s, 0));
    }
    sqlite3_finalize(s);
    return value;
}

void database_setting(struct database *d, const char *key, char *ret_value, size_t bytes)
{
    OWN(memory) char *value = setting(d, key);

    snprintf(ret_value, bytes, "%s", value ? value : "");
}

static enum err pin(struct database *d, const char *key, const char *value, struct why *why)
{
    CLOSED_BY(finalize) sqlite3_stmt *s = NULL;
    OWN(memory) char *kept = setting(d, key);

    if (kept && strcmp(kept, value) != 0)
        return why_set(why, ERR_INVALID,
                       "database %s: its %s was %.64s and is %.64s now; build that one again, or start a new campaign",
                       d->path, key, kept, value);
    if (kept)
        return ERR_OK;
    if (sqlite3_prepare_v2(d->sqlite, "INSERT INTO campaign VALUES (?, ?)", -1, &s, NULL) != SQLITE_OK)
        return failed(d, why);
    sqlite3_bind_text(s, 1, key, -1, SQLITE_STATIC);
    sqlite3_bind_text(s, 2, value, -1, SQLITE_STATIC);
    return sqlite3_step(s) == SQLITE_DONE ? ERR_OK : failed(d, why);
}

enum err database_pin(struct database *d, const char *key, const char *value, struct why *why)
{
    pthread_mutex_lock(&d->changes);
    enum err e = pin(d, key, value, why);
    pthread_mutex_unlock(&d->changes);
    return e;
}

/* `context` is the database, which has the text of each part. */
static char *read_part(void *context, const char *file, char ret_why[SETTINGS_WHY])
{
    char key[PLAN_TEXT_MAX + 16];

    snprintf(key, sizeof key, "file %s", file);
    char *text = setting(context, key);
    if (!text)
        snprintf(ret_why, SETTINGS_WHY, "is not in the database");
    return text;
}

enum err database_plan(struct database *d, struct plan *ret_plan, struct why *why)
{
    OWN(memory) char *text = setting(d, "file"), *folder = setting(d, "folder");

    return text && folder ? plan_parse(d->path, text, folder, read_part, d, ret_plan, why)
                          : why_set(why, ERR_CORRUPT, "database %s: has no campaign file in it", d->path);
}

bool database_has(struct database *d, uint64_t index)
{
    sqlite3_stmt *s = NULL;
    bool found = false;

    if (sqlite3_prepare_v2(d->sqlite, "SELECT 1 FROM experiment WHERE idx = ?", -1, &s, NULL) == SQLITE_OK) {
        sqlite3_bind_int64(s, 1, (sqlite3_int64)index);
        found = sqlite3_step(s) == SQLITE_ROW;
    }
    sqlite3_finalize(s);
    return found;
}

static void bind_fault(sqlite3_stmt *s, int at, const struct experiment *x)
{
    const struct arena_fault *f = &x->fault;

    sqlite3_bind_int64(s, at, f->kind);
    sqlite3_bind_int64(s, at + 1, f->vector);
    changes_bind_hex(s, at + 2, f->ip);
    changes_bind_hex(s, at + 3, f->address);
    const char *const texts[] = {f->task_name, f->cell_name, x->fault_section, f->symbol};
    for (int i = 0; i < 4; i++)
        sqlite3_bind_text(s, at + 4 + i, texts[i], -1, SQLITE_STATIC);
    sqlite3_bind_int64(s, at + 8, f->offset);
    sqlite3_bind_text(s, at + 9, f->message, -1, SQLITE_STATIC);
}

static void bind_cause(sqlite3_stmt *s, int at, const struct experiment *x)
{
    sqlite3_bind_text(s, at, x->part, -1, SQLITE_STATIC);
    sqlite3_bind_text(s, at + 1, x->kind, -1, SQLITE_STATIC);
    if (x->activation_known)
        sqlite3_bind_int64(s, at + 2, x->activated);
    for (int rule = 0; rule < OUTCOME_RULES; rule++)
        sqlite3_bind_text(s, at + 3 + rule, outcome_cause_word(x->cause[rule]), -1, SQLITE_STATIC);
    if (!x->lost.seq)
        return;
    sqlite3_bind_int64(s, at + 5, x->lost.action);
    const char *const texts[] = {x->lost.cell_name, x->lost.symbol, x->lost.message};
    for (int i = 0; i < 3; i++)
        sqlite3_bind_text(s, at + 6 + i, texts[i], -1, SQLITE_STATIC);
}

static bool insert_row(struct database *d, const struct experiment *x)
{
    enum { TEXTS = 5, FIRST_NUMBER = 7, FAULT = 19 };
    static const char *const keys[TEXTS] = {"build_id", "seed", NULL, NULL, "backend"};
    const struct evidence *v = &x->evidence;
    sqlite3_stmt *s = NULL;
    char text[TEXTS][128], residue[256];

    if (sqlite3_prepare_v2(d->sqlite,
                           "INSERT INTO experiment VALUES (?1,?2,?3,?4,?5,?6,?7,?8,?9,?10,?11,?12,?13,?14,?15,?16,?17,"
                           "?18,?19,?20,?21,?22,?23,?24,?25,?26,?27,?28,?29,?30,?31,?32,?33,?34,?35,?36,"
                           "?37,?38,?39,?40,?41,?42,?43,?44,?45,?46)",
                           -1, &s, NULL) != SQLITE_OK)
        return false;
    sqlite3_bind_int64(s, 1, (sqlite3_int64)x->index);
    for (int i = 0; i < TEXTS; i++) {
        if (keys[i])
            database_setting(d, keys[i], text[i], sizeof text[i]);
        else
            snprintf(text[i], sizeof text[i], "%s", i == 2 ? x->target : x->model_words);
        sqlite3_bind_text(s, 2 + i, text[i], -1, SQLITE_STATIC);
    }
    sqlite3_bind_int64(s, 7, (sqlite3_int64)x->at_round);
    sqlite3_bind_int64(s, 8, x->delay_ms);
    sqlite3_bind_text(s, 9, outcome_word(x->outcome[OUTCOME_STRICT]), -1, SQLITE_STATIC);
    const uint64_t numbers[] = {v->rounds,   v->bad,     v->faults,  v->unrecovered, x->recoveries,
                                x->restarts, v->reloads, v->crashed, v->halted};
    for (int i = 0; i < (int)(sizeof numbers / sizeof *numbers); i++)
        sqlite3_bind_int64(s, 10 + i, (sqlite3_int64)numbers[i]);
    if (x->has_fault)
        bind_fault(s, FAULT, x);
    sqlite3_bind_int64(s, 29, (sqlite3_int64)x->recovery_ns);
    sqlite3_bind_int64(s, 30, x->start_ms);
    sqlite3_bind_int64(s, 31, x->run_ms);
    sqlite3_bind_int64(s, 32, (sqlite3_int64)v->wrong);
    sqlite3_bind_int64(s, 33, (sqlite3_int64)v->lost);
    sqlite3_bind_int64(s, 34, (sqlite3_int64)v->twice);
    sqlite3_bind_int64(s, 36, x->delay_switches);
    sqlite3_bind_text(s, 35, outcome_word(x->outcome[OUTCOME_THESIS]), -1, SQLITE_STATIC);
    bind_cause(s, 37, x);
    if (x->residue_known) {
        residue_print(&x->residue, residue, sizeof residue);
        sqlite3_bind_text(s, 46, residue, -1, SQLITE_STATIC);
    }
    bool done = sqlite3_step(s) == SQLITE_DONE;
    sqlite3_finalize(s);
    return done;
}

static enum err add(struct database *d, const struct experiment *x, struct why *why)
{
    bool good = sqlite3_exec(d->sqlite, "BEGIN IMMEDIATE", NULL, NULL, NULL) == SQLITE_OK && insert_row(d, x);

    good = good && changes_add(d->sqlite, x);
    if (good && sqlite3_exec(d->sqlite, "COMMIT", NULL, NULL, NULL) == SQLITE_OK)
        return ERR_OK;
    enum err e = failed(d, why);
    sqlite3_exec(d->sqlite, "ROLLBACK", NULL, NULL, NULL);
    return e;
}

enum err database_add(struct database *d, const struct experiment *x, struct why *why)
{
    pthread_mutex_lock(&d->changes);
    enum err e = add(d, x, why);
    pthread_mutex_unlock(&d->changes);
    return e;
}

/* Prepares a SELECT of columns FIRST, then both outcomes, then REST. */
static bool prepare_outcomes(struct database *d, const char *first, const char *rest, sqlite3_stmt **ret_statement)
{
    char text[512];

    snprintf(text, sizeof text, "SELECT %s, outcome, %s AS thesis %s", first,
             d->format == 1 ? OLD_OUTCOME_THESIS : "outcome_thesis", rest);
    return sqlite3_prepare_v2(d->sqlite, text, -1, ret_statement, NULL) == SQLITE_OK;
}

/* Two columns from `column` on. False: one of them is the word of no outcome. */
static bool read_outcomes(sqlite3_stmt *s, int column, enum outcome ret_outcome[OUTCOME_RULES])
{
    for (int rule = 0; rule < OUTCOME_RULES; rule++) {
        const char *word = (const char *)sqlite3_column_text(s, column + rule);

        if (!word || !outcome_parse(word, &ret_outcome[rule]))
            return false;
    }
    return true;
}

enum err database_get(struct database *d, uint64_t index, struct experiment *ret_experiment, struct why *why)
{
    CLOSED_BY(finalize) sqlite3_stmt *s = NULL;

    if (!prepare_outcomes(d,
                          d->format == 1 ? "target, at_round, delay_ms, 0, model"
                                         : "target, at_round, delay_ms, delay_switches, model",
                          "FROM experiment WHERE idx = ?", &s))
        return failed(d, why);
    sqlite3_bind_int64(s, 1, (sqlite3_int64)index);
    if (sqlite3_step(s) != SQLITE_ROW)
        return why_set(why, ERR_NOT_FOUND, "database %s: has no experiment %llu", d->path, (unsigned long long)index);
    memset(ret_experiment, 0, sizeof *ret_experiment);
    ret_experiment->index = index;
    changes_copy_text(ret_experiment->target, sizeof ret_experiment->target, s, 0);
    ret_experiment->at_round = (uint64_t)sqlite3_column_int64(s, 1);
    ret_experiment->delay_ms = (unsigned)sqlite3_column_int64(s, 2);
    ret_experiment->delay_switches = (unsigned)sqlite3_column_int64(s, 3);
    char model[PLAN_TEXT_MAX];
    changes_copy_text(model, sizeof model, s, 4);
    enum err e = model_parse(model, &ret_experiment->model, why);
    if (e != ERR_OK)
        return e;
    if (!read_outcomes(s, 5, ret_experiment->outcome))
        return why_set(why, ERR_CORRUPT, "database %s: experiment %llu has an outcome that is none", d->path,
                       (unsigned long long)index);
    return changes_get(d->sqlite, ret_experiment) ? ERR_OK : failed(d, why);
}

/* Visits the groups of a statement. */
static enum err visit_groups(struct database *d, const char *first, const char *rest, database_visit *visit,
                             void *context, struct why *why)
{
    CLOSED_BY(finalize) sqlite3_stmt *s = NULL;
    enum outcome outcome[OUTCOME_RULES];
    int step;

    if (!prepare_outcomes(d, first, rest, &s))
        return failed(d, why);
    while ((step = sqlite3_step(s)) == SQLITE_ROW) {
        const char *group = (const char *)sqlite3_column_text(s, 0);

        if (group && read_outcomes(s, 2, outcome))
            visit(context, group, outcome, (uint64_t)sqlite3_column_int64(s, 1));
    }
    return step == SQLITE_DONE ? ERR_OK : failed(d, why);
}

static enum err check_newest(const struct database *d, struct why *why)
{
    return d->format == FORMAT
               ? ERR_OK
               : why_set(why, ERR_UNSUPPORTED, "database %s: has format %d; `delias campaign resume` makes it a %d",
                         d->path, d->format, FORMAT);
}

enum err database_attach(struct database *d, const struct database *other, struct why *why)
{
    CLOSED_BY(finalize) sqlite3_stmt *s = NULL;
    enum err e = check_newest(other, why);

    if (e != ERR_OK)
        return e;
    if (sqlite3_prepare_v2(d->sqlite, "ATTACH DATABASE ? AS other", -1, &s, NULL) != SQLITE_OK)
        return failed(d, why);
    sqlite3_bind_text(s, 1, other->path, -1, SQLITE_STATIC);
    return sqlite3_step(s) == SQLITE_DONE ? ERR_OK : failed(d, why);
}

enum err database_select(struct database *d, const char *sql, database_row *visit, void *context, struct why *why)
{
    enum { COLUMNS_MAX = 24 };
    CLOSED_BY(finalize) sqlite3_stmt *s = NULL;
    const char *column[COLUMNS_MAX] = {0};
    int step;

    enum err e = check_newest(d, why);
    if (e != ERR_OK)
        return e;
    if (sqlite3_prepare_v2(d->sqlite, sql, -1, &s, NULL) != SQLITE_OK)
        return failed(d, why);
    while ((step = sqlite3_step(s)) == SQLITE_ROW) {
        for (int i = 0; i < sqlite3_column_count(s) && i < COLUMNS_MAX; i++)
            column[i] = (const char *)sqlite3_column_text(s, i);
        if (!visit(context, column))
            return ERR_OK;
    }
    return step == SQLITE_DONE ? ERR_OK : failed(d, why);
}

enum err database_tally(struct database *d, database_visit *visit, void *context, struct why *why)
{
    return visit_groups(d, "target, count(*)", "FROM experiment GROUP BY target, outcome, thesis ORDER BY target",
                        visit, context, why);
}

enum err database_tally_moments(struct database *d, database_visit *visit, void *context, struct why *why)
{
    if (!changes_has_moments(d->sqlite))
        return ERR_OK;
    return visit_groups(d, "CASE WHEN came THEN function ELSE '' END AS moment, count(*)",
                        "FROM experiment JOIN moment ON idx = moment.experiment GROUP BY 1, outcome, thesis ORDER BY 1",
                        visit, context, why);
}

uint64_t database_time_ms(struct database *d)
{
    CLOSED_BY(finalize) sqlite3_stmt *s = NULL;
    const char *sql = "SELECT sum(start_ms + run_ms) FROM experiment";

    return sqlite3_prepare_v2(d->sqlite, sql, -1, &s, NULL) == SQLITE_OK && sqlite3_step(s) == SQLITE_ROW
               ? (uint64_t)sqlite3_column_int64(s, 0)
               : 0;
}

bool database_has_residue(const struct database *d)
{
    return d->format == FORMAT;
}
