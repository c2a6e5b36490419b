/* What a transfer does, for people and as JSON; see transfer.h. Numbers of 64 bits are strings of hexadecimal digits. */
#include "cells/tool/transfer.h"
#include "cells/tool/verbs.h"
#include <inttypes.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const char *const kinds[] = {
    [RECIPE_COPY] = "copy",           [RECIPE_ZERO_EXTEND] = "zero-extend", [RECIPE_SIGN_EXTEND] = "sign-extend",
    [RECIPE_ZERO_BITS] = "zero-bits", [RECIPE_SIGN_BITS] = "sign-bits",     [RECIPE_PLACE] = "place",
};

const char *transfer_kind(uint32_t kind)
{
    return kind < sizeof kinds / sizeof *kinds ? kinds[kind] : NULL;
}

/* ---- for people ---- */

static void print_lines(const char *what, const struct match_lines *lines)
{
    for (size_t i = 0; i < lines->lines; i++)
        printf("%-9s %s: %s\n", what, lines->line[i].field, lines->line[i].text);
}

static void print_recipe(const struct transfer *t, const struct transfer_recipe *r)
{
    const char *from = t->old[r->old].notes.cell.name;

    if (!r->to) {
        printf("\n%s:%s (%" PRIu64 " bytes) is given up\n", from, r->from->name, r->from->bytes);
        return;
    }
    printf("\n%s:%s (%" PRIu64 " bytes) -> %s:%s (%" PRIu64 " bytes)\n", from, r->from->name, r->from->bytes,
           t->new_[r->new_].notes.cell.name, r->to->name, r->to->bytes);
    printf("%-12s  %8s  %8s  %10s  %8s  %6s  %s\n", "MOVE", "FROM", "TO", "FROM_WIDTH", "TO_WIDTH", "COUNT", "STRIDES");
    for (size_t i = 0; i < r->moves.moves; i++) {
        const struct recipe_move *m = &r->moves.move[i];
        printf("%-12s  %8u  %8u  %10u  %8u  %6u", kinds[m->kind], m->from, m->to, m->from_width, m->to_width, m->count);
        if (m->count > 1)
            printf("  %u, %u", m->from_stride, m->to_stride);
        putchar('\n');
    }
}

void transfer_print(const struct transfer *t)
{
    print_lines("changed", &t->changed);
    print_lines("function", &t->left_over);
    print_lines("refused", &t->refused);
    for (size_t i = 0; i < t->recipes; i++)
        print_recipe(t, &t->recipe[i]);
    if (!t->recipes && !t->refused.lines && !t->left_over.lines)
        printf("all static data is carried over as it is\n");
}

/* ---- JSON ---- */

static json_t *hex(uint64_t value)
{
    return json_sprintf("%016" PRIx64, value);
}

static json_t *json_lines(const struct match_lines *lines)
{
    json_t *list = json_array();

    for (size_t i = 0; i < lines->lines; i++)
        json_array_append_new(list,
                              json_pack("{s:s, s:s}", "field", lines->line[i].field, "what", lines->line[i].text));
    return list;
}

static json_t *json_sides(const struct side *side, size_t count)
{
    json_t *list = json_array();

    for (size_t i = 0; i < count; i++)
        json_array_append_new(list, json_pack("{s:s, s:i, s:o}", "cell", side[i].notes.cell.name, "version",
                                              (int)side[i].notes.cell.version, "object", hex(side[i].hash)));
    return list;
}

static json_t *json_section(const struct side *side, const struct side_section *s)
{
    return json_pack("{s:s, s:s, s:i, s:o, s:I, s:o, s:o}", "cell", side->notes.cell.name, "section", s->name, "index",
                     (int)s->index, "object", hex(side->hash), "bytes", (json_int_t)s->bytes, "type",
                     hex(s->note.type_hash), "deep", hex(s->note.deep_hash));
}

static json_t *json_moves(const struct match_moves *moves)
{
    json_t *list = json_array();

    for (size_t i = 0; i < moves->moves; i++) {
        const struct recipe_move *m = &moves->move[i];
        json_array_append_new(list, json_pack("{s:s, s:I, s:I, s:I, s:I, s:I, s:I, s:I}", "kind", kinds[m->kind],
                                              "count", (json_int_t)m->count, "from", (json_int_t)m->from, "to",
                                              (json_int_t)m->to, "from_width", (json_int_t)m->from_width, "to_width",
                                              (json_int_t)m->to_width, "from_stride", (json_int_t)m->from_stride,
                                              "to_stride", (json_int_t)m->to_stride));
    }
    return list;
}

static json_t *json_recipes(const struct transfer *t)
{
    json_t *list = json_array();

    for (size_t i = 0; i < t->recipes; i++) {
        const struct transfer_recipe *r = &t->recipe[i];
        json_array_append_new(list, json_pack("{s:o, s:o, s:o}", "old", json_section(&t->old[r->old], r->from), "new",
                                              r->to ? json_section(&t->new_[r->new_], r->to) : json_null(), "moves",
                                              json_moves(&r->moves)));
    }
    return list;
}

json_t *transfer_json(const struct transfer *t)
{
    return json_pack("{s:o, s:o, s:o, s:o, s:o, s:o}", "old", json_sides(t->old, t->olds), "new",
                     json_sides(t->new_, t->news), "recipes", json_recipes(t), "changed", json_lines(&t->changed),
                     "refused", json_lines(&t->refused), "left_over", json_lines(&t->left_over));
}

/* ---- cell transfer ---- */

struct sides {
    char *paths; /* owns their names */
    struct side *side;
    size_t sides;
};

static void close_sides(struct sides *sides)
{
    for (size_t i = 0; i < sides->sides; i++)
        side_close(&sides->side[i]);
    free(sides->side);
    free(sides->paths);
}

static enum err open_sides(struct sides *sides, const char *paths)
{
    sides->paths = strdup(paths);
    sides->side = calloc(strlen(paths) + 1, sizeof *sides->side);
    if (!sides->paths || !sides->side)
        return complain(ERR_NOMEM, paths, "out of memory");
    for (char *rest = sides->paths, *path; (path = strsep(&rest, ",")) != NULL; sides->sides++) {
        enum err e = side_open(&sides->side[sides->sides], path);
        if (e != ERR_OK)
            return e;
    }
    return ERR_OK;
}

static enum err write_recipes(const struct transfer *t, const char *path)
{
    size_t bytes;
    void *data = transfer_pack(t, &bytes);
    FILE *file = data ? fopen(path, "wb") : NULL;
    bool written = file && fwrite(data, 1, bytes, file) == bytes;

    if (file && fclose(file) != 0)
        written = false;
    free(data);
    if (written)
        return ERR_OK;
    if (file)
        remove(path);
    return complain(ERR_IO, path, "cannot be written");
}

static enum err show(const struct transfer *t, bool json)
{
    if (!json) {
        transfer_print(t);
        return ERR_OK;
    }
    json_t *all = transfer_json(t);
    if (!all || json_dumpf(all, stdout, JSON_INDENT(2) | JSON_PRESERVE_ORDER) != 0) {
        json_decref(all);
        return complain(ERR_NOMEM, t->new_[0].path, "out of memory");
    }
    putchar('\n');
    json_decref(all);
    return ERR_OK;
}

static enum err transfer(struct sides *old, struct sides *new_, struct match_word *word, size_t words, const char *out,
                         bool json)
{
    struct transfer t;
    enum err e = transfer_make(&t, old->side, old->sides, new_->side, new_->sides, word, words);

    if (e != ERR_OK)
        return e;
    e = show(&t, json);
    if (e == ERR_OK && t.refused.lines)
        e = complain(ERR_REFUSED, new_->side[0].path, "not all static data can be taken over by recipes");
    if (e == ERR_OK && out)
        e = write_recipes(&t, out);
    transfer_done(&t);
    return e;
}

/* "FIELD=NAME" is taken apart in place. */
static void read_words(char *const *from, size_t words, struct match_word *word)
{
    for (size_t i = 0; i < words; i++) {
        char *equals = strchr(from[i], '=');

        if (equals)
            *equals = '\0';
        word[i].path = from[i];
        word[i].to = equals ? equals + 1 : NULL;
    }
}

enum err transfer_cells(const char *old_paths, const char *new_paths, char *const *from, size_t words, const char *out,
                        bool json)
{
    struct match_word *word = calloc(words + 1, sizeof *word);
    struct sides old = {0}, new_ = {0};

    if (!word)
        return complain(ERR_NOMEM, old_paths, "out of memory");
    read_words(from, words, word);
    enum err e = open_sides(&old, old_paths);
    if (e == ERR_OK)
        e = open_sides(&new_, new_paths);
    if (e == ERR_OK)
        e = transfer(&old, &new_, word, words, out, json);
    close_sides(&old);
    close_sides(&new_);
    free(word);
    return e;
}
