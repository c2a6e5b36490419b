/* See out.h. */
#include "cli/out.h"
#include <inttypes.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct out {
    const struct column *columns;
    size_t count; /* columns */
    size_t next;  /* column that the next value goes to */
    bool json, headed;
    size_t *width;
    char *text; /* of the table: all texts, one after the other */
    size_t used, room;
    size_t *cell; /* where each text starts: rows * count */
    size_t cells, cell_room;
    json_t *array, *object;
};

static void *need(void *p)
{
    if (!p) {
        fputs("delias: out of memory\n", stderr);
        exit(1);
    }
    return p;
}

struct out *out_new(const struct column *columns, bool json)
{
    struct out *o = need(calloc(1, sizeof *o));

    o->columns = columns;
    o->json = json;
    while (columns[o->count].key)
        o->count++;
    o->width = need(calloc(o->count + 1, sizeof *o->width));
    for (size_t i = 0; i < o->count; i++)
        o->width[i] = strlen(columns[i].key);
    o->array = need(json_array());
    return o;
}

static void forget(struct out *o)
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
    if (o->next == 0)
        o->object = need(json_object());
    if (o->columns[o->next].where == COLUMN_TABLE)
        json_decref(need(value));
    else if (json_object_set_new(o->object, key, need(value)) != 0)
        need(NULL);
    if (++o->next == o->count) {
        json_array_append_new(o->array, o->object);
        o->next = 0;
    }
}

/* Room for `more` elements behind `used` ones. */
static void *grow(void *array, size_t used, size_t more, size_t *room, size_t size)
{
    if (used + more <= *room)
        return array;
    *room = (used + more) * 2;
    return need(realloc(array, *room * size));
}

static void add_cell(struct out *o, const char *text)
{
    size_t length = strlen(text);

    o->cell = grow(o->cell, o->cells, 1, &o->cell_room, sizeof *o->cell);
    o->text = grow(o->text, o->used, length + 1, &o->room, 1);
    memcpy(o->text + o->used, text, length + 1);
    o->cell[o->cells++] = o->used;
    o->used += length + 1;
    if (length > o->width[o->next])
        o->width[o->next] = length;
    o->next = (o->next + 1) % o->count;
}

/* Paths may hold bytes that are no UTF-8, and so cannot be in JSON. */
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
        add_cell(o, text);
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
        add_cell(o, text);
    }
}

size_t out_rows(const struct out *o)
{
    return o->json ? json_array_size(o->array) : o->cells / o->count;
}

static bool shown(const struct out *o, size_t column)
{
    return o->columns[column].where != COLUMN_JSON;
}

/* Without blanks at the end of the line. */
static void print_line(const struct out *o, const size_t *cells)
{
    int blanks = 0;

    for (size_t i = 0; i < o->count; i++) {
        const char *text = cells ? o->text + cells[i] : o->columns[i].key;
        int pad = (int)(o->width[i] - strlen(text));

        if (!shown(o, i))
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

static void print_table(struct out *o, bool heading)
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
        print_table(o, true);
    }
    forget(o);
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
        print_table(o, !o->headed);
        o->headed = true;
    }
    forget(o);
}

struct json_t *out_take(struct out *o)
{
    json_t *rows = o->array;

    o->array = need(json_array());
    return rows;
}
