/* See changes.h. */
#include "injector/changes.h"
#include "introspect/base/own.h"
#include <stdio.h>
#include <stdlib.h>

static void finalize(sqlite3_stmt **statement)
{
    sqlite3_finalize(*statement);
}

void changes_bind_hex(sqlite3_stmt *s, int at, uint64_t value)
{
    char text[24];

    snprintf(text, sizeof text, "0x%llx", (unsigned long long)value);
    sqlite3_bind_text(s, at, text, -1, SQLITE_TRANSIENT);
}

/* One change of an experiment. `insert` names the table. */
static bool add_change(sqlite3 *sqlite, const char *insert, uint64_t index, size_t n, const struct change *c,
                       const char *where)
{
    sqlite3_stmt *s = NULL;

    if (sqlite3_prepare_v2(sqlite, insert, -1, &s, NULL) != SQLITE_OK)
        return false;
    sqlite3_bind_int64(s, 1, (sqlite3_int64)index);
    sqlite3_bind_int64(s, 2, (sqlite3_int64)n);
    sqlite3_bind_text(s, 3, where, -1, SQLITE_STATIC);
    sqlite3_bind_int64(s, 4, (sqlite3_int64)c->phys);
    sqlite3_bind_int64(s, 5, c->bytes);
    if (change_bit(c) >= 0)
        sqlite3_bind_int64(s, 6, change_bit(c));
    changes_bind_hex(s, 7, c->keep);
    changes_bind_hex(s, 8, c->set);
    changes_bind_hex(s, 9, c->flip);
    changes_bind_hex(s, 10, c->before);
    changes_bind_hex(s, 11, c->after);
    bool done = sqlite3_step(s) == SQLITE_DONE;
    sqlite3_finalize(s);
    return done;
}

#define INSERT_CHANGE(table) "INSERT INTO " table " VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)"

static bool add_moment(sqlite3 *sqlite, const struct experiment *x)
{
    const struct experiment_moment *m = &x->moment;
    sqlite3_stmt *s = NULL;

    if (sqlite3_prepare_v2(sqlite, "INSERT INTO moment VALUES (?, ?, ?, ?, ?)", -1, &s, NULL) != SQLITE_OK)
        return false;
    sqlite3_bind_int64(s, 1, (sqlite3_int64)x->index);
    sqlite3_bind_text(s, 2, m->function, -1, SQLITE_STATIC);
    sqlite3_bind_int64(s, 3, m->steps);
    sqlite3_bind_int64(s, 4, m->came);
    sqlite3_bind_text(s, 5, m->place, -1, SQLITE_STATIC);
    bool good = sqlite3_step(s) == SQLITE_DONE;
    sqlite3_finalize(s);
    for (size_t i = 0; i < m->first.changes && good; i++)
        good = add_change(sqlite, INSERT_CHANGE("first_change"), x->index, i, &m->first.change[i], m->first_where[i]);
    return good;
}

void changes_copy_text(char *to, size_t bytes, sqlite3_stmt *s, int column)
{
    const char *text = (const char *)sqlite3_column_text(s, column);

    snprintf(to, bytes, "%s", text ? text : "");
}

static uint64_t column_hex(sqlite3_stmt *s, int column)
{
    const char *text = (const char *)sqlite3_column_text(s, column);

    return text ? strtoull(text, NULL, 16) : 0;
}

typedef char place_name[sizeof((struct experiment *)0)->where[0]];

/* `select` names the table. */
static bool get_changes(sqlite3 *sqlite, const char *select, uint64_t index, bool skips, struct injection *injection,
                        place_name *ret_where)
{
    sqlite3_stmt *s = NULL;
    size_t n = 0;

    if (sqlite3_prepare_v2(sqlite, select, -1, &s, NULL) != SQLITE_OK)
        return false;
    sqlite3_bind_int64(s, 1, (sqlite3_int64)index);
    for (; n < MODEL_CHANGES_MAX && sqlite3_step(s) == SQLITE_ROW; n++) {
        changes_copy_text(ret_where[n], sizeof ret_where[n], s, 0);
        injection->change[n] = (struct change){.phys = (uint64_t)sqlite3_column_int64(s, 1),
                                               .skip = skips,
                                               .bytes = (uint32_t)sqlite3_column_int64(s, 2),
                                               .keep = column_hex(s, 3),
                                               .set = column_hex(s, 4),
                                               .flip = column_hex(s, 5),
                                               .before = column_hex(s, 6),
                                               .after = column_hex(s, 7)};
    }
    injection->changes = n;
    sqlite3_finalize(s);
    return true;
}

#define SELECT_CHANGES(table)                                                                                          \
    "SELECT place, phys, bytes, keep, sets, flips, before, after FROM " table " WHERE experiment = ? ORDER BY n"

bool changes_has_moments(sqlite3 *sqlite)
{
    sqlite3_stmt *s = NULL;
    bool found =
        sqlite3_prepare_v2(sqlite, "SELECT 1 FROM sqlite_master WHERE name = 'moment'", -1, &s, NULL) == SQLITE_OK &&
        sqlite3_step(s) == SQLITE_ROW;

    sqlite3_finalize(s);
    return found;
}

static bool get_moment(sqlite3 *sqlite, uint64_t index, struct experiment_moment *m)
{
    CLOSED_BY(finalize) sqlite3_stmt *s = NULL;

    if (!changes_has_moments(sqlite))
        return true;
    if (sqlite3_prepare_v2(sqlite, "SELECT function, steps, came, place FROM moment WHERE experiment = ?", -1, &s,
                           NULL) != SQLITE_OK)
        return false;
    sqlite3_bind_int64(s, 1, (sqlite3_int64)index);
    if (sqlite3_step(s) != SQLITE_ROW)
        return true;
    changes_copy_text(m->function, sizeof m->function, s, 0);
    m->steps = (unsigned)sqlite3_column_int64(s, 1);
    m->came = sqlite3_column_int(s, 2);
    changes_copy_text(m->place, sizeof m->place, s, 3);
    return get_changes(sqlite, SELECT_CHANGES("first_change"), index, false, &m->first, m->first_where);
}

bool changes_add(sqlite3 *sqlite, const struct experiment *x)
{
    bool good = true;

    for (size_t i = 0; i < x->injection.changes && good; i++)
        good = add_change(sqlite, INSERT_CHANGE("change"), x->index, i, &x->injection.change[i], x->where[i]);
    return good && (!*x->moment.function || add_moment(sqlite, x));
}

bool changes_get(sqlite3 *sqlite, struct experiment *x)
{
    return get_moment(sqlite, x->index, &x->moment) &&
           get_changes(sqlite, SELECT_CHANGES("change"), x->index, x->model.model->skips, &x->injection, x->where);
}
