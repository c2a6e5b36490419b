/* See out.h. */
#include "cli/out.h"
#include <inttypes.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "cli/cli.h"
#include "introspect/base/json.h"

struct out {
    const struct column *columns;
    size_t count; /* columns */
    size_t next;  /* column of the next value */
    bool json, headed;
    size_t *width;
    char *text; /* of the table: all texts, one after the other */
    size_t used, room;
    size_t *cell; /* where each text starts: rows * count */
    size_t cells, cell_room;
    json_t *array, *object;
};

static void *need_memory(void *p)
{
    if (!p)
        cli_no_memory();
    return p;
}

struct out *out_new(const struct column *columns, bool json)
{
    struct out *o = need_memory(calloc(1, sizeof *o));

    o->columns = columns;
    o->json = json;
    while (columns[o->count].key)
        o->count++;
    o->width = need_memory(calloc(o->count + 1, sizeof *o->width));
    for (size_t i = 0; i < o->count; i++)
        o->width[i] = strlen(columns[i].key);
    o->array = need_memory(json_array());
    return o;
}

static void forget_rows(struct out *o)
{
    o->cells = o->used = 0;
    json_array_clear(o->array);
}

void out_free(struct out *o)
{
    if (!o)
        return;
    json_decref(o->array);
    free(o->text);
    free(o->cell);
    free(o->width);
    free(o);
}

static void add_json(struct out *o, const char *key, json_t *value)
{
    enum column_where where = o->columns[o->next].where;

    if (o->next == 0)
        o->object = need_memory(json_object());
    if (where == COLUMN_TABLE || where == COLUMN_SCREEN)
        json_decref(need_memory(value));
    else if (json_object_set_new(o->object, key, need_memory(value)) != 0)
        need_memory(NULL);
    if (++o->next == o->count) {
        json_array_append_new(o->array, o->object);
        o->next = 0;
    }
}

/* Makes room for `more` elements behind `used` ones. */
static void *grow_array(void *array, size_t used, size_t more, size_t *room, size_t size)
{
    if (used + more <= *room)
        return array;
    *room = (used + more) * 2;
    return need_memory(realloc(array, *room * size));
}

static void add_shown_text(struct out *o, const char *text)
{
    size_t length = strlen(text);

    o->cell = grow_array(o->cell, o->cells, 1, &o->cell_room, sizeof *o->cell);
    o->text = grow_array(o->text, o->used, length + 1, &o->room, 1);
    memcpy(o->text + o->used, text, length + 1);
    o->cell[o->cells++] = o->used;
    o->used += length + 1;
    if (length > o->width[o->next])
        o->width[o->next] = length;
    o->next = (o->next + 1) % o->count;
}

/* "?" for text that is not UTF-8, as paths may be. */
static json_t *text_json(const char *text)
{
    json_t *value = json_string(text);

    return value ? value : json_string("?");
}

void out_text(struct out *o, const char *text)
{
    if (o->json)
        add_json(o, o->columns[o->next].key, text_json(text));
    else
        add_shown_text(o, text);
}

void out_number(struct out *o, uint64_t number)
{
    char text[32];

    if (o->columns[o->next].kind == COLUMN_ADDRESS) {
        snprintf(text, sizeof text, "0x%" PRIx64, number);
        out_text(o, text);
    } else if (o->json) {
        add_json(o, o->columns[o->next].key, json_integer((json_int_t)number));
    } else {
        bool is_signed = o->columns[o->next].kind == COLUMN_SIGNED;
        snprintf(text, sizeof text, is_signed ? "%" PRId64 : "%" PRIu64, number);
        add_shown_text(o, text);
    }
}

void out_record(struct out *o, const struct view *view, size_t record)
{
    struct column_value value;

    for (const struct column *c = o->columns; c->key; c++) {
        c->read(view, record, &value);
        if (c->kind == COLUMN_TEXT)
            out_text(o, value.text);
        else
            out_number(o, value.number);
    }
}

size_t out_rows(const struct out *o)
{
    return o->json ? json_array_size(o->array) : o->cells / o->count;
}

static bool is_shown(const struct out *o, size_t column)
{
    enum column_where where = o->columns[column].where;

    return where == COLUMN_BOTH || where == COLUMN_TABLE;
}

/* Prints the heading (cells NULL) or a row, without blanks at its end. */
static void print_line(const struct out *o, const size_t *cells)
{
    int blanks = 0;

    for (size_t i = 0; i < o->count; i++) {
        const char *text = cells ? o->text + cells[i] : o->columns[i].key;
        int pad = (int)(o->width[i] - strlen(text));

        if (!is_shown(o, i))
            continue;
        if (o->columns[i].kind == COLUMN_NUMBER || o->columns[i].kind == COLUMN_SIGNED) {
            blanks += pad;
            pad = 0;
        }
        if (*text)
            printf("%*s%s", blanks, "", text);
        blanks = (*text ? 0 : blanks) + pad + 2;
    }
    putchar('\n');
}

static void print_lines(struct out *o, bool heading)
{
    if (heading)
        print_line(o, NULL);
    for (size_t i = 0; i + o->count <= o->cells; i += o->count)
        print_line(o, o->cell + i);
}

void out_print(struct out *o)
{
    if (o->json) {
        json_dumpf(o->array, stdout, JSON_INDENT(2));
        putchar('\n');
    } else {
        print_lines(o, true);
    }
    forget_rows(o);
}

void out_stream(struct out *o)
{
    if (o->json) {
        size_t i;
        json_t *object;

        json_array_foreach(o->array, i, object)
        {
            json_dumpf(object, stdout, JSON_COMPACT);
            putchar('\n');
        }
    } else if (o->cells) {
        print_lines(o, !o->headed);
        o->headed = true;
    }
    forget_rows(o);
}

struct json_t *out_take(struct out *o)
{
    json_t *rows = o->array;

    o->array = need_memory(json_array());
    return rows;
}

void out_json(TAKES json_t *taken)
{
    OWN(json) json_t *value = taken;

    json_dumpf(value, stdout, JSON_INDENT(2));
    putchar('\n');
}
