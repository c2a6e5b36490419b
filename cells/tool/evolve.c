/* See evolve.h. */
#include "cells/tool/evolve.h"
#include "cells/tool/list.h"
#include "cells/tool/render.h"
#include "cells/tool/transfer.h"
#include <dirent.h>
#include <errno.h>
#include <inttypes.h>
#include <jansson.h>
#include <stdio.h>
#include <string.h>

/* A cell of a build. Objects that do not differ are closed again. */
struct member {
    char *path;
    struct object object;
    struct notes notes;
    uint64_t hash;
};
struct build {
    struct member *member; /* sorted by the names of the cells */
    size_t members, capacity;
    uint64_t image; /* hash of the nano_core's description; 0: none */
};

struct evolution {
    struct build old, new_;
    struct side *before, *after; /* those that go, those that come */
    size_t befores, afters;
    json_t *manifest;
};

/* ---- builds ---- */

static void close_build(struct build *build)
{
    for (size_t i = 0; i < build->members; i++) {
        notes_done(&build->member[i].notes);
        object_close(&build->member[i].object);
        free(build->member[i].path);
    }
    free(build->member);
}

static enum err read_member(struct build *build, const char *path, const char *file)
{
    struct member *room = list_room(build->member, build->members, &build->capacity, sizeof *room);
    struct member m = {.path = strdup(path)};

    if (room)
        build->member = room;
    enum err e = room && m.path ? object_open(&m.object, m.path) : complain(ERR_NOMEM, path, "out of memory");
    if (e != ERR_OK) {
        free(m.path);
        return e;
    }
    e = object_hash(&m.object, &m.hash);
    if (e == ERR_OK)
        e = notes_read(&m.notes, &m.object);
    size_t n = e == ERR_OK ? strlen(m.notes.cell.name) : 0;
    bool is_image = n && strcmp(m.notes.cell.name, "nano_core") == 0;
    build->image = is_image ? m.hash : build->image;
    /* NAME_v2.o is for swaps by hand */
    if (e == ERR_OK && !is_image && strncmp(file, m.notes.cell.name, n) == 0 && strcmp(file + n, ".o") == 0) {
        room[build->members++] = m;
        return ERR_OK;
    }
    notes_done(&m.notes);
    object_close(&m.object);
    free(m.path);
    return e;
}

static int is_object(const struct dirent *entry)
{
    size_t n = strlen(entry->d_name);

    return n > 2 && strcmp(entry->d_name + n - 2, ".o") == 0;
}

static enum err read_build(struct build *build, const char *folder)
{
    struct dirent **entry;
    char *cells, *path;
    enum err e = ERR_OK;

    if (asprintf(&cells, "%s/cells", folder) < 0)
        return complain(ERR_NOMEM, folder, "out of memory");
    int count = scandir(cells, &entry, is_object, alphasort);
    if (count < 0)
        e = complain(ERR_IO, cells, "%s", strerror(errno));
    for (int i = 0; i < count; i++) {
        if (e == ERR_OK && asprintf(&path, "%s/%s", cells, entry[i]->d_name) >= 0) {
            e = read_member(build, path, entry[i]->d_name);
            free(path);
        }
        free(entry[i]);
    }
    if (count >= 0)
        free(entry);
    if (e == ERR_OK && !build->members)
        e = complain(ERR_NOT_FOUND, cells, "has no cells");
    free(cells);
    return e;
}

static const struct member *find(const struct build *build, const char *cell)
{
    for (size_t i = 0; i < build->members; i++)
        if (strcmp(build->member[i].notes.cell.name, cell) == 0)
            return &build->member[i];
    return NULL;
}

/* ---- cells ---- */

static enum err add_side(struct side *sides, size_t *count, const struct member *m)
{
    enum err e = side_open(&sides[*count], m->path);

    *count += e == ERR_OK;
    return e;
}

static json_t *describe(const struct member *old, const struct member *new_)
{
    json_t *o = json_pack("{s:s}", "cell", (old ?: new_)->notes.cell.name);

    if (old) {
        json_object_set_new(o, "old_version", json_integer(old->notes.cell.version));
        json_object_set_new(o, "old_object", json_sprintf("%016" PRIx64, old->hash));
    }
    if (new_) {
        char *path = realpath(new_->path, NULL);
        json_object_set_new(o, "new_version", json_integer(new_->notes.cell.version));
        json_object_set_new(o, "new_object", json_sprintf("%016" PRIx64, new_->hash));
        json_object_set_new(o, "path", json_string(path ?: new_->path));
        free(path);
    }
    return o;
}

static enum err compare_builds(struct evolution *v)
{
    json_t *changed = json_object_get(v->manifest, "changed"), *added = json_object_get(v->manifest, "added");
    json_t *removed = json_object_get(v->manifest, "removed");
    enum err e = ERR_OK;

    for (size_t i = 0; i < v->old.members && e == ERR_OK; i++) {
        const struct member *old = &v->old.member[i], *new_ = find(&v->new_, old->notes.cell.name);
        if (new_ && new_->hash == old->hash)
            continue;
        json_array_append_new(new_ ? changed : removed, describe(old, new_));
        e = add_side(v->before, &v->befores, old);
        if (e == ERR_OK && new_)
            e = add_side(v->after, &v->afters, new_);
    }
    for (size_t i = 0; i < v->new_.members && e == ERR_OK; i++) {
        const struct member *new_ = &v->new_.member[i];
        if (find(&v->old, new_->notes.cell.name))
            continue;
        json_array_append_new(added, describe(NULL, new_));
        e = add_side(v->after, &v->afters, new_);
    }
    return e;
}

/* ---- types ---- */

static const char *symbol_name(const struct side *side, uint32_t symbol)
{
    return side->object.symbol[symbol].name;
}

static const struct note_symbol *find_export(const struct side *side, const char *name)
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

static void compare_exports(struct evolution *v, const struct side *old, const struct side *new_)
{
    for (size_t i = 0; i < old->notes.exports; i++) {
        const struct note_symbol *was = &old->notes.export[i];
        const char *name = symbol_name(old, was->symbol), *cell = new_->notes.cell.name;
        const struct note_symbol *is = find_export(new_, name);

        if (!is || !is->type_hash || !was->type_hash || is->type_hash == was->type_hash)
            continue;
        char *before = text_of(old, name), *after = text_of(new_, name);
        json_array_append_new(
            json_object_get(v->manifest, "types"),
            json_pack("{s:s, s:s, s:s, s:s}", "cell", cell, "symbol", name, "old", before ?: "", "new", after ?: ""));
        free(before);
        free(after);
        note_users(v, cell, name, is->type_hash);
    }
}

static void compare_types(struct evolution *v)
{
    for (size_t i = 0; i < v->befores; i++)
        for (size_t k = 0; k < v->afters; k++)
            if (strcmp(v->before[i].notes.cell.name, v->after[k].notes.cell.name) == 0)
                compare_exports(v, &v->before[i], &v->after[k]);
}

/* ---- all ---- */

static enum err diff(struct evolution *v, struct match_word *word, size_t words)
{
    struct transfer t;
    enum err e = compare_builds(v);

    if (e != ERR_OK)
        return e;
    compare_types(v);
    if (v->afters == 0 && words)
        return complain(ERR_INVALID, word[0].path, "no cell has changed");
    if (v->afters == 0)
        return ERR_OK;
    e = transfer_make(&t, v->before, v->befores, v->after, v->afters, word, words);
    if (e == ERR_OK) {
        json_object_set_new(v->manifest, "transfer", transfer_json(&t));
        transfer_done(&t);
    }
    return e;
}

static void close_evolution(struct evolution *v)
{
    for (size_t i = 0; i < v->befores; i++)
        side_close(&v->before[i]);
    for (size_t i = 0; i < v->afters; i++)
        side_close(&v->after[i]);
    free(v->before);
    free(v->after);
    close_build(&v->old);
    close_build(&v->new_);
}

enum err evolve_diff(const char *old_build, const char *new_build, struct match_word *word, size_t words,
                     json_t **ret_manifest)
{
    struct evolution v = {0};
    enum err e = read_build(&v.old, old_build);

    if (e == ERR_OK)
        e = read_build(&v.new_, new_build);
    if (e == ERR_OK) {
        v.before = calloc(v.old.members + 1, sizeof *v.before);
        v.after = calloc(v.new_.members + 1, sizeof *v.after);
        v.manifest = json_pack("{s:s, s:i, s:b, s:[], s:[], s:[], s:[], s:[], s:[], s:{s:[], s:[], s:[], s:[]}}",
                               "format", EVOLVE_FORMAT, "version", EVOLVE_VERSION, "image_changed",
                               v.old.image != v.new_.image, "changed", "added", "removed", "types", "along", "stale",
                               "transfer", "recipes", "changed", "refused", "left_over");
        e = v.before && v.after && v.manifest ? diff(&v, word, words) : complain(ERR_NOMEM, old_build, "out of memory");
    }
    close_evolution(&v);
    if (e != ERR_OK)
        json_decref(v.manifest);
    else
        *ret_manifest = v.manifest;
    return e;
}

static const char *text(const json_t *object, const char *key)
{
    return json_string_value(json_object_get(object, key)) ?: "?";
}

size_t evolve_refusals(const json_t *manifest, void (*say)(const char *what, const char *why))
{
    const json_t *refused = json_object_get(json_object_get(manifest, "transfer"), "refused");
    const json_t *stale = json_object_get(manifest, "stale");
    char why[256];

    for (size_t i = 0; i < json_array_size(refused); i++) {
        const json_t *line = json_array_get(refused, i);
        say(text(line, "field"), text(line, "what"));
    }
    for (size_t i = 0; i < json_array_size(stale); i++) {
        const json_t *line = json_array_get(stale, i);
        snprintf(why, sizeof why, "was built with another type of %s, of cell %s", text(line, "symbol"),
                 text(line, "of"));
        say(text(line, "cell"), why);
    }
    return json_array_size(refused) + json_array_size(stale);
}
