/* Names a pointer: the datum where the search began, and the fields on the path: "list.first->next->call". */
#include "cells/evolve/plan/parts.h"
#include "cells/evolve/plan/search.h"
#include "cells/lib/format/format.h"
#include "cells/lib/string/string.h"

#define HOPS_MAX   3 /* pointers that a message names */
#define PATH_BYTES 72

struct path {
    char text[PATH_BYTES];
    size_t bytes;
};

static void append_words(struct path *path, const char *words)
{
    path->bytes += format_print(path->text + path->bytes, sizeof path->text - path->bytes, "%s", words);
}

static void add_number(struct path *path, uint32_t number)
{
    path->bytes += format_print(path->text + path->bytes, sizeof path->text - path->bytes, "[%u]", number);
}

static bool covers(const struct type_graph *graph, const struct graph_type *type, const struct note_field *field,
                   uint32_t at)
{
    uint32_t each = field->what == NOTE_HOLDS ? graph->type[field->target].shape->bytes : 8;

    return at >= field->offset && (!field->count || (at - field->offset) / field->stride < field->count) &&
           (at - field->offset) % field->stride < each && type->reaches;
}

/* Adds the field at byte `at` of a type: "slots[2].call". */
static void append_field(struct path *path, const struct type_graph *graph, uint32_t index, uint32_t at, unsigned depth)
{
    const struct graph_type *type = &graph->type[index];

    for (uint32_t i = 0; depth < SEARCH_DEPTH_MAX && i < type->shape->fields; i++) {
        const struct note_field *field = &type->field[i];
        if (!covers(graph, type, field, at))
            continue;
        const char *name = type->names + field->name;
        if (*name && path->bytes && path->text[path->bytes - 1] != '>')
            append_words(path, ".");
        append_words(path, name);
        if (field->count != 1)
            add_number(path, (at - field->offset) / field->stride);
        if (field->what == NOTE_HOLDS)
            append_field(path, graph, field->target, (at - field->offset) % field->stride, depth + 1);
        return;
    }
}

/* Adds the object that a pointer refers to, and the field there that is followed next: "->next", or "[2].next" in an
 * array. */
static void add_hop(struct path *path, const struct type_graph *graph, uint32_t type, uint32_t at)
{
    uint32_t bytes = graph->type[type].shape->bytes;
    bool open = graph->type[type].open;

    if (!open && at >= bytes)
        add_number(path, at / bytes);
    else
        append_words(path, "->");
    append_field(path, graph, type, open ? at : at % bytes, 0);
}

/* Adds the path from the root to byte `at` of the object; of a long one the last HOPS_MAX hops. */
static void add_path(struct path *path, const struct search *search, const struct object *object, uint32_t at)
{
    struct {
        uint32_t type, at;
    } hop[HOPS_MAX];
    size_t hops = 0;
    bool cut = false;

    for (; object->parent != SEARCH_ROOT; object = &search->object[object->parent]) {
        cut |= hops == HOPS_MAX;
        if (hops < HOPS_MAX) {
            hop[hops].type = object->type;
            hop[hops++].at = at;
        }
        at = object->at;
    }
    append_field(path, search->graph, object->type, at, 0);
    if (cut)
        append_words(path, "->...");
    while (hops-- > 0)
        add_hop(path, search->graph, hop[hops].type, hop[hops].at);
}

static const char *root_cell_name(const struct search *search, const struct object *object)
{
    while (object->parent != SEARCH_ROOT)
        object = &search->object[object->parent];
    return section_cell_name(object->section);
}

static const char *function_name(struct section_ref section)
{
    const char *name = section_name(section);

    return string_starts(name, ".text.") ? name + 6 : name;
}

void search_refuse(struct search *search, const struct object *object, uint32_t at, uint64_t function, bool retyped)
{
    struct section_ref section = arena_section_at(function);
    struct path path = {.bytes = 0};

    add_path(&path, search, object, at);
    search->error = report_refuse(search->report, retyped ? ERR_WRONG_TYPE : ERR_MISSING_SYMBOL,
                                  "cell %s: %s points to %s of cell %s, which %s", root_cell_name(search, object),
                                  path.text, function_name(section), section_cell_name(section),
                                  retyped ? "has another type then" : "has no counterpart");
}
