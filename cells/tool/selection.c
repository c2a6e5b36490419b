/* See selection.h. */
#include "cells/tool/selection.h"
#include "cells/tool/difference.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

const char *change_cell(const struct change *change)
{
    return (change->new_ ?: change->old)->notes.cell.name;
}

void changes_close(struct changes *changes)
{
    for (size_t i = 0; i < changes->changes; i++) {
        struct change *c = &changes->change[i];
        if (c->before.path)
            side_close(&c->before);
        if (c->after.path)
            side_close(&c->after);
        free(c->why);
    }
    free(changes->change);
    *changes = (struct changes){0};
}

/* ---- all changes ---- */

static enum err add_change(struct changes *changes, const struct member *old, const struct member *new_)
{
    struct change *c = &changes->change[changes->changes++];
    enum err e = ERR_OK;

    *c = (struct change){.old = old, .new_ = new_, .selected = true};
    if (old)
        e = side_open(&c->before, old->path);
    if (e == ERR_OK && new_)
        e = side_open(&c->after, new_->path);
    return e;
}

enum err changes_find(struct changes *changes, const struct build *old, const struct build *new_)
{
    enum err e = ERR_OK;

    changes->change = calloc(old->members + new_->members + 1, sizeof *changes->change);
    if (!changes->change)
        return complain(ERR_NOMEM, "builds", "out of memory");
    for (size_t i = 0; i < old->members && e == ERR_OK; i++) {
        const struct member *was = &old->member[i], *is = build_find(new_, was->notes.cell.name);
        if (is ? is->hash != was->hash : was->ships)
            e = add_change(changes, was, is);
    }
    for (size_t i = 0; i < new_->members && e == ERR_OK; i++) {
        const struct member *is = &new_->member[i];
        if (is->ships && !build_find(old, is->notes.cell.name))
            e = add_change(changes, NULL, is);
    }
    return e;
}

/* ---- what comes along ---- */

static const char *symbol_of(const struct member *m, const struct note_symbol *s)
{
    return m->object.symbol[s->symbol].name;
}

static const struct note_symbol *find_export(const struct member *m, const char *name)
{
    for (size_t i = 0; m && i < m->notes.exports; i++)
        if (strcmp(symbol_of(m, &m->notes.export[i]), name) == 0)
            return &m->notes.export[i];
    return NULL;
}

static bool is_same_export(const struct note_symbol *a, const struct note_symbol *b)
{
    return a && b && a->type_hash == b->type_hash && a->deep_hash == b->deep_hash;
}

/* An export of `exporter` that differs between the builds, or only `from` has, and that `user` imports. */
static const char *find_changed_import(const struct member *user, const struct member *from, const struct member *other)
{
    for (size_t i = 0; user && from && i < user->notes.imports; i++) {
        const char *name = symbol_of(user, &user->notes.import[i]);
        const struct note_symbol *export = find_export(from, name);
        if (export && !is_same_export(export, find_export(other, name)))
            return name;
    }
    return NULL;
}

static bool has_datum(const struct side *side, const struct datum *like)
{
    for (size_t i = 0; i < side->sections; i++)
        for (size_t k = 0; k < side->section[i].count; k++) {
            const struct datum *d = &side->section[i].data[k];
            if (strcmp(d->name, like->name) == 0 && !d->function == !like->function &&
                (!d->function || strcmp(d->function, like->function) == 0))
                return true;
        }
    return false;
}

/* A datum that leaves the one cell and is new in the other. */
static const char *find_moving_datum(const struct change *from, const struct change *to)
{
    for (size_t i = 0; i < from->before.sections; i++)
        for (size_t k = 0; k < from->before.section[i].count; k++) {
            const struct datum *d = &from->before.section[i].data[k];
            if (!has_datum(&from->after, d) && has_datum(&to->after, d) && !has_datum(&to->before, d))
                return d->name;
        }
    return NULL;
}

/* Why `other` has to come if `c` does; NULL: it need not. `ret_failed`: no memory. */
static char *find_reason(const struct change *c, const struct change *other, bool *ret_failed)
{
    const char *cell = change_cell(c), *name;
    char tag[160], *why = NULL;
    int n = 0;

    if ((name = find_changed_import(c->new_, other->new_, other->old)))
        n = asprintf(&why, "%s needs its new %s", cell, name);
    else if ((name = find_changed_import(other->old, c->old, c->new_)))
        n = asprintf(&why, "it uses %s of %s, which is not what it was", name, cell);
    else if ((name = find_moving_datum(c, other)))
        n = asprintf(&why, "%s of %s moves there", name, cell);
    else if ((name = find_moving_datum(other, c)))
        n = asprintf(&why, "its %s moves to %s", name, cell);
    else if (c->old && c->new_ && other->old && other->new_ &&
             difference_shares(&c->before, &c->after, &other->before, &other->after, tag, sizeof tag))
        n = asprintf(&why, "it shares %s with %s, whose layout changes", tag, cell);
    *ret_failed |= n < 0;
    return n > 0 ? why : NULL;
}

/* Selects what comes along with change `c`; returns how many that are. */
static size_t select_along(struct changes *changes, const struct change *c, bool *ret_failed)
{
    size_t more = 0;

    for (size_t i = 0; i < changes->changes; i++) {
        struct change *other = &changes->change[i];
        if (other->selected)
            continue;
        other->why = find_reason(c, other, ret_failed);
        other->selected = other->why;
        more += other->selected;
    }
    return more;
}

static struct change *find_change(const struct changes *changes, const char *cell)
{
    for (size_t i = 0; i < changes->changes; i++)
        if (strcmp(change_cell(&changes->change[i]), cell) == 0)
            return &changes->change[i];
    return NULL;
}

static enum err select_named(struct changes *changes, char *names)
{
    for (char *rest = names, *name; (name = strsep(&rest, ",")) != NULL;) {
        struct change *c = find_change(changes, name);
        if (!c)
            return complain(ERR_NOT_FOUND, name, "is no cell that differs between the builds");
        c->selected = true;
    }
    return ERR_OK;
}

enum err changes_select(struct changes *changes, const char *only)
{
    OWN(memory) char *names = strdup(only);
    bool failed = !names;
    size_t more = 1;

    for (size_t i = 0; i < changes->changes; i++)
        changes->change[i].selected = false;
    enum err e = names ? select_named(changes, names) : ERR_NOMEM;
    while (e == ERR_OK && more && !failed) {
        more = 0;
        for (size_t i = 0; i < changes->changes; i++)
            if (changes->change[i].selected)
                more += select_along(changes, &changes->change[i], &failed);
    }
    return failed ? complain(ERR_NOMEM, only, "out of memory") : e;
}
