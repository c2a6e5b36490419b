/* What a transfer does, for people and as JSON; see transfer.h. Numbers of 64 bits are strings of hexadecimal
 * digits. */
#include "cells/tool/transfer.h"
#include "cells/tool/verbs.h"
#include "introspect/base/json.h"
#include "introspect/base/output.h"
#include <inttypes.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const char *const kinds[] = {
    [RECIPE_COPY] = "copy",
    [RECIPE_ZERO_EXTEND] = "zero-extend",
    [RECIPE_SIGN_EXTEND] = "sign-extend",
    [RECIPE_ZERO_BITS] = "zero-bits",
    [RECIPE_SIGN_BITS] = "sign-bits",
    [RECIPE_PLACE] = "place",
    [RECIPE_CUT_BITS] = "cut-bits",
    [RECIPE_REFUSE_UNSIGNED] = "refuse-unsigned",
    [RECIPE_REFUSE_SIGNED] = "refuse-signed",
    [RECIPE_REFUSE_FLAGS] = "refuse-flags",
    [RECIPE_REFUSE_USED] = "refuse-used",
};

const char *transfer_kind(uint32_t kind)
{
    return kind < sizeof kinds / sizeof *kinds ? kinds[kind] : NULL;
}

/* ---- for people ---- */

static void print_remarks(const char *what, const struct match_lines *lines)
{
    for (size_t i = 0; i < lines->lines; i++)
        printf("%-9s %s: %s\n", what, lines->line[i].field, lines->line[i].text);
}

/* What a move refuses: "refuse-signed FIELD is from LOW to HIGH". */
static void print_check(const struct transfer *t, const struct recipe_move *m)
{
    const char *field = t->texts.text + m->field;

    printf("%-15s  %8u  %8s  %10u  %8s  %6u  ", kinds[m->kind], m->from, "", m->from_width, "", m->count);
    if (m->kind == RECIPE_REFUSE_USED)
        printf("%s is not zero\n", field);
    else if (m->kind == RECIPE_REFUSE_FLAGS)
        printf("%s has one of %#" PRIx64 "\n", field, m->low);
    else if (m->high < m->low)
        printf("%s is not from %" PRId64 " to %" PRId64 "\n", field, (int64_t)(m->high + 1), (int64_t)(m->low - 1));
    else
        printf("%s is from %#" PRIx64 " to %#" PRIx64 "\n", field, m->low, m->high);
}

static void print_move(const struct recipe_move *m)
{
    printf("%-15s  %8u  %8u  %10u  %8u  %6u", kinds[m->kind], m->from, m->to, m->from_width, m->to_width, m->count);
    if (m->count > 1)
        printf("  %u, %u", m->from_stride, m->to_stride);
    putchar('\n');
}

static void print_recipe(const struct transfer *t, const struct transfer_recipe *r)
{
    const char *from = t->old[r->old].notes.cell.name;

    printf("\n%s:%s (%" PRIu64 " bytes) ", from, r->from->name, r->from->bytes);
    if (r->to && !r->moves.moves && strncmp(r->from->name, ".text.", 6) == 0)
        printf("is now %s:%s\n", t->new_[r->new_].notes.cell.name, r->to->name);
    else if (r->to)
        printf("-> %s:%s (%" PRIu64 " bytes)\n", t->new_[r->new_].notes.cell.name, r->to->name, r->to->bytes);
    else
        printf("is given up\n");
    if (r->moves.moves)
        printf("%-15s  %8s  %8s  %10s  %8s  %6s  %s\n", "MOVE", "FROM", "TO", "FROM_WIDTH", "TO_WIDTH", "COUNT",
               "STRIDES");
    for (size_t i = 0; i < r->moves.moves; i++) {
        const struct recipe_move *m = &r->moves.move[i];
        if (recipe_refuses(m->kind))
            print_check(t, m);
        else
            print_move(m);
    }
}

void transfer_print(const struct transfer *t)
{
    print_remarks("changed", &t->changed);
    print_remarks("function", &t->left_over);
    print_remarks("refused", &t->refused);
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
        json_array_append_new(list, json_pack("{s:s, s:s, s:s}", "cell", lines->line[i].cell, "field",
                                              lines->line[i].field, "what", lines->line[i].text));
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

static json_t *json_move(const struct transfer *t, const struct recipe_move *m)
{
    json_t *o = json_pack("{s:s, s:I, s:I, s:I, s:I, s:I, s:I, s:I}", "kind", kinds[m->kind], "count",
                          (json_int_t)m->count, "from", (json_int_t)m->from, "to", (json_int_t)m->to, "from_width",
                          (json_int_t)m->from_width, "to_width", (json_int_t)m->to_width, "from_stride",
                          (json_int_t)m->from_stride, "to_stride", (json_int_t)m->to_stride);

    if (recipe_refuses(m->kind)) {
        json_object_set_new(o, "low", hex(m->low));
        json_object_set_new(o, "high", hex(m->high));
        json_object_set_new(o, "first", json_integer(m->first));
        json_object_set_new(o, "field", json_string(t->texts.text + m->field));
        json_object_set_new(o, "why", json_string(t->texts.text + m->why));
    }
    return o;
}

static json_t *json_moves(const struct transfer *t, const struct moves *moves)
{
    json_t *list = json_array();

    for (size_t i = 0; i < moves->moves; i++)
        json_array_append_new(list, json_move(t, &moves->move[i]));
    return list;
}

static json_t *json_recipes(const struct transfer *t)
{
    json_t *list = json_array();

    for (size_t i = 0; i < t->recipes; i++) {
        const struct transfer_recipe *r = &t->recipe[i];
        json_array_append_new(list, json_pack("{s:o, s:o, s:o}", "old", json_section(&t->old[r->old], r->from), "new",
                                              r->to ? json_section(&t->new_[r->new_], r->to) : json_null(), "moves",
                                              json_moves(t, &r->moves)));
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
    OWN(memory) void *data = transfer_pack(t, &bytes);
    OWN(output) struct output *output = data ? output_new(path) : NULL;

    if (!data)
        return complain(ERR_NOMEM, path, "out of memory");
    if (output && fwrite(data, 1, bytes, output_stream(output)) == bytes && output_commit(output))
        return ERR_OK;
    return complain(ERR_IO, path, "cannot be written: %s", strerror(errno));
}

static enum err show_transfer(const struct transfer *t, bool json)
{
    if (!json) {
        transfer_print(t);
        return ERR_OK;
    }
    OWN(json) json_t *all = transfer_json(t);
    if (!all)
        return complain(ERR_NOMEM, t->new_[0].path, "out of memory");
    (void)json_dumpf(all, stdout, JSON_INDENT(2) | JSON_PRESERVE_ORDER); /* a failure is seen at the program's end */
    putchar('\n');
    return ERR_OK;
}

static enum err transfer_opened(struct sides *old, struct sides *new_, struct match_word *word, size_t words,
                                const char *out, bool json)
{
    CLOSED_BY(transfer_done) struct transfer t = {0};
    enum err e = transfer_make(&t, old->side, old->sides, new_->side, new_->sides, word, words);

    if (e != ERR_OK)
        return e;
    e = show_transfer(&t, json);
    if (e == ERR_OK && t.refused.lines)
        e = complain(ERR_REFUSED, new_->side[0].path, "not all static data can be taken over by recipes");
    if (e == ERR_OK && out)
        e = write_recipes(&t, out);
    return e;
}

enum err transfer_cells(const char *old_paths, const char *new_paths, struct match_word *word, size_t words,
                        const char *out, bool json)
{
    CLOSED_BY(close_sides) struct sides old = {0};
    CLOSED_BY(close_sides) struct sides new_ = {0};
    enum err e = open_sides(&old, old_paths);

    if (e == ERR_OK)
        e = open_sides(&new_, new_paths);
    return e == ERR_OK ? transfer_opened(&old, &new_, word, words, out, json) : e;
}
