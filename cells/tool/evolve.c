/* See evolve.h. */
#include "cells/tool/evolve.h"
#include "cells/tool/build.h"
#include "cells/tool/meaning.h"
#include "cells/tool/render.h"
#include "cells/tool/selection.h"
#include "cells/tool/transfer.h"
#include "guest/abi/swap_set.h"
#include <inttypes.h>
#include <jansson.h>
#include <stdio.h>
#include <string.h>

struct evolution {
    struct build old, new_;
    struct side *before, *after; /* objects that are replaced or removed, and those that replace them or are added */
    size_t befores, afters;
    json_t *manifest;
};

static const char *line_text(const json_t *object, const char *key)
{
    return json_string_value(json_object_get(object, key)) ?: "?";
}

/* ---- cells ---- */

static json_t *describe_change(const struct member *old, const struct member *new_)
{
    json_t *o = json_pack("{s:s}", "cell", (old ?: new_)->notes.cell.name);

    if (old) {
        json_object_set_new(o, "old_version", json_integer(old->notes.cell.version));
        json_object_set_new(o, "old_object", json_sprintf("%016" PRIx64, old->hash));
        OWN(memory) char *path = realpath(old->path, NULL);
        json_object_set_new(o, "old_path", json_string(path ?: old->path));
    }
    if (new_) {
        OWN(memory) char *path = realpath(new_->path, NULL);
        json_object_set_new(o, "new_version", json_integer(new_->notes.cell.version));
        json_object_set_new(o, "new_object", json_sprintf("%016" PRIx64, new_->hash));
        json_object_set_new(o, "path", json_string(path ?: new_->path));
    }
    return o;
}

/* Lists what is selected; its sides are the evolution's from here on. */
static void list_change(struct evolution *v, struct change *c)
{
    const char *list = c->old && c->new_ ? "changed" : c->new_ ? "added" : "removed";
    json_t *meaning = json_object_get(v->manifest, "meaning");

    json_array_append_new(json_object_get(v->manifest, list), describe_change(c->old, c->new_));
    if (c->old && c->new_)
        json_array_append_new(meaning, meaning_of(&c->before, &c->after));
    if (c->why)
        json_array_append_new(json_object_get(v->manifest, "brought"),
                              json_pack("{s:s, s:s}", "cell", change_cell(c), "why", c->why));
    if (c->old)
        v->before[v->befores++] = c->before;
    if (c->new_)
        v->after[v->afters++] = c->after;
    c->before = c->after = (struct side){0};
}

static enum err compare_builds(struct evolution *v, const char *only)
{
    CLOSED_BY(changes_close) struct changes changes = {0};
    enum err e = changes_find(&changes, &v->old, &v->new_);

    if (e == ERR_OK && only)
        e = changes_select(&changes, only);
    for (size_t i = 0; i < changes.changes && e == ERR_OK; i++)
        if (changes.change[i].selected)
            list_change(v, &changes.change[i]);
    return e;
}

/* ---- types ---- */

static const char *symbol_name(const struct side *side, uint32_t symbol)
{
    return side->object.symbol[symbol].name;
}

static const struct note_symbol *find_export_of(const struct side *side, const char *name)
{
    for (size_t i = 0; i < side->notes.exports; i++)
        if (strcmp(symbol_name(side, side->notes.export[i].symbol), name) == 0)
            return &side->notes.export[i];
    return NULL;
}

static char *text_of(const struct side *side, const char *symbol)
{
    Dwarf_Die die;

    return types_find(side->types, symbol, &die) ? render_symbol(&die) : NULL;
}

/* Cells of the new build that import the symbol: those that were built with its new type have changed. */
static void note_users(struct evolution *v, const char *cell, const char *symbol, uint64_t type)
{
    json_t *along = json_object_get(v->manifest, "along"), *stale = json_object_get(v->manifest, "stale");

    for (size_t i = 0; i < v->new_.members; i++) {
        const struct member *m = &v->new_.member[i];
        for (size_t k = 0; k < m->notes.imports; k++) {
            const struct note_symbol *import = &m->notes.import[k];
            if (strcmp(m->object.symbol[import->symbol].name, symbol) != 0)
                continue;
            bool fits = !import->type_hash || import->type_hash == type;
            json_array_append_new(fits ? along : stale, json_pack("{s:s, s:s, s:s}", "cell", m->notes.cell.name,
                                                                  "symbol", symbol, "of", cell));
        }
    }
}

static void compare_export_types(struct evolution *v, const struct side *old, const struct side *new_)
{
    for (size_t i = 0; i < old->notes.exports; i++) {
        const struct note_symbol *was = &old->notes.export[i];
        const char *name = symbol_name(old, was->symbol), *cell = new_->notes.cell.name;
        const struct note_symbol *is = find_export_of(new_, name);

        if (!is || !is->type_hash || !was->type_hash || is->type_hash == was->type_hash)
            continue;
        OWN(memory) char *before = text_of(old, name), *after = text_of(new_, name);
        json_array_append_new(
            json_object_get(v->manifest, "types"),
            json_pack("{s:s, s:s, s:s, s:s}", "cell", cell, "symbol", name, "old", before ?: "", "new", after ?: ""));
        note_users(v, cell, name, is->type_hash);
    }
}

static void compare_types(struct evolution *v)
{
    for (size_t i = 0; i < v->befores; i++)
        for (size_t k = 0; k < v->afters; k++)
            if (strcmp(v->before[i].notes.cell.name, v->after[k].notes.cell.name) == 0)
                compare_export_types(v, &v->before[i], &v->after[k]);
}

/* ---- the manifest ---- */

static enum err fill_manifest(struct evolution *v, const char *only, struct match_word *word, size_t words)
{
    CLOSED_BY(transfer_done) struct transfer t = {0};
    enum err e = compare_builds(v, only);

    if (e != ERR_OK)
        return e;
    compare_types(v);
    if (v->afters == 0 && words)
        return complain(ERR_INVALID, word[0].path, "no cell has changed");
    if (v->afters == 0)
        return ERR_OK;
    e = transfer_make(&t, v->before, v->befores, v->after, v->afters, word, words);
    if (e == ERR_OK)
        json_object_set_new(v->manifest, "transfer", transfer_json(&t));
    return e;
}

/* ---- what takes a restart ---- */

static void add_restart(struct evolution *v, const char *cell, const char *why)
{
    json_array_append_new(json_object_get(v->manifest, "restart"), json_pack("{s:s, s:s}", "cell", cell, "why", why));
}

static const struct side *find_side(const struct side *sides, size_t count, const char *cell)
{
    for (size_t i = 0; i < count; i++)
        if (strcmp(sides[i].notes.cell.name, cell) == 0)
            return &sides[i];
    return NULL;
}

/* What no word of --drop and --rename can decide. */
static void find_refused(struct evolution *v)
{
    const json_t *refused = json_object_get(json_object_get(v->manifest, "transfer"), "refused");

    for (size_t i = 0; i < json_array_size(refused); i++) {
        const json_t *line = json_array_get(refused, i);
        const char *what = line_text(line, "what");
        OWN(memory) char *why = NULL;
        if (strstr(what, "say --"))
            continue;
        if (asprintf(&why, "%s cannot be carried over: %s", line_text(line, "field"), what) < 0)
            why = NULL;
        add_restart(v, line_text(line, "cell"), why ?: what);
    }
}

static void find_marks(struct evolution *v)
{
    for (size_t i = 0; i < v->befores; i++) {
        const struct note_cell *was = &v->before[i].notes.cell;
        const struct side *is = find_side(v->after, v->afters, was->name);
        uint32_t lost = is ? was->flags & ~is->notes.cell.flags & (NOTE_CORE | NOTE_FOUNDATION) : 0;
        if (lost)
            add_restart(v, was->name, "the new version lacks CORE() or FOUNDATION()");
    }
}

static void find_restarts(struct evolution *v)
{
    const struct member *was = &v->old.image, *is = &v->new_.image;

    find_refused(v);
    find_marks(v);
    if (was->path && is->path && meaning_has_changes(&was->object, &is->object))
        add_restart(v, "nano_core", "the image's entry point differs, which runs at the boot only");
    if (v->befores > SWAP_SET_MAX || v->afters > SWAP_SET_MAX)
        add_restart(v, "all", "more cells than one swap can replace; choose some with --only");
}

/* ---- all ---- */

static void close_evolution(struct evolution *v)
{
    for (size_t i = 0; i < v->befores; i++)
        side_close(&v->before[i]);
    for (size_t i = 0; i < v->afters; i++)
        side_close(&v->after[i]);
    free(v->before);
    free(v->after);
    json_decref(v->manifest);
    build_close(&v->old);
    build_close(&v->new_);
}

enum err evolve_diff(const char *old_build, const char *new_build, const char *only, struct match_word *word,
                     size_t words, json_t **ret_manifest)
{
    CLOSED_BY(close_evolution) struct evolution v = {0};
    enum err e = build_read(&v.old, old_build);

    if (e == ERR_OK)
        e = build_read(&v.new_, new_build);
    if (e != ERR_OK)
        return e;
    v.before = calloc(v.old.members + 1, sizeof *v.before);
    v.after = calloc(v.new_.members + 1, sizeof *v.after);
    v.manifest =
        json_pack("{s:s, s:i, s:b, s:[], s:[], s:[], s:[], s:[], s:[], s:[], s:[], s:[], "
                  "s:{s:[], s:[], s:[], s:[]}}",
                  "format", EVOLVE_FORMAT, "version", EVOLVE_VERSION, "image_changed",
                  v.old.image.hash != v.new_.image.hash, "changed", "added", "removed", "brought", "meaning", "restart",
                  "types", "along", "stale", "transfer", "recipes", "changed", "refused", "left_over");
    if (!v.before || !v.after || !v.manifest)
        return complain(ERR_NOMEM, old_build, "out of memory");
    e = fill_manifest(&v, only, word, words);
    if (e == ERR_OK)
        find_restarts(&v);
    if (e == ERR_OK)
        *ret_manifest = MOVE(v.manifest);
    return e;
}

size_t evolve_refusals(const json_t *manifest, void (*print)(const char *what, const char *why))
{
    const json_t *refused = json_object_get(json_object_get(manifest, "transfer"), "refused");
    const json_t *stale = json_object_get(manifest, "stale");
    char why[256];

    for (size_t i = 0; i < json_array_size(refused); i++) {
        const json_t *line = json_array_get(refused, i);
        print(line_text(line, "field"), line_text(line, "what"));
    }
    for (size_t i = 0; i < json_array_size(stale); i++) {
        const json_t *line = json_array_get(stale, i);
        snprintf(why, sizeof why, "was built with another type of %s, of cell %s", line_text(line, "symbol"),
                 line_text(line, "of"));
        print(line_text(line, "cell"), why);
    }
    return json_array_size(refused) + json_array_size(stale);
}
