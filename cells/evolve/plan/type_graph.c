/* See type_graph.h. */
#include "cells/evolve/plan/type_graph.h"
#include "cells/core/arena/arena.h"
#include "cells/core/loader/loader.h"
#include "cells/lib/string/string.h"

/* A note in a pristine object; its size is what its head says. */
struct found_note {
    const uint8_t *note;
    size_t bytes;
    struct note_pointers head;
};

static bool find_note(struct cell_ref cell, struct found_note *ret_found)
{
    const struct arena_cell *c = arena_cell(cell);
    struct found_note found;

    if (c->state != CELL_LIVE || !c->object.index || !c->pointers)
        return false;
    const struct arena_object *object = arena_object(c->object);
    if (c->pointers > object->bytes || sizeof found.head > object->bytes - c->pointers)
        return false;
    found.note = (const uint8_t *)page_direct(object->phys) + c->pointers;
    memcpy(&found.head, found.note, sizeof found.head);
    found.bytes = sizeof found.head + (size_t)found.head.types * sizeof(struct note_shape) +
                  (size_t)found.head.fields * sizeof(struct note_field) +
                  (size_t)found.head.roots * sizeof(struct note_root) + found.head.name_bytes;
    if (found.bytes > object->bytes - c->pointers)
        return false;
    *ret_found = found;
    return true;
}

static size_t round_up(size_t bytes)
{
    return (bytes + 7) & ~7ul;
}

/* The section of the cell that has number `index` in its object, or none. */
static struct section_ref section_numbered(struct cell_ref cell, uint32_t index)
{
    for_each_section_of (s, cell)
        if (arena_section(s)->object_index == index)
            return s;
    return NO_SECTION;
}

static bool is_root(struct section_ref section, const struct note_shape *shape)
{
    const struct arena_section *s = arena_section(section);

    return section.index && section_kind_is_data(s->kind) && shape->bytes <= s->bytes;
}

static void add_types(struct type_graph *graph, struct cell_ref cell, const struct note_pointers *head)
{
    const struct note_shape *shape = (const struct note_shape *)(head + 1);
    struct note_field *field = (struct note_field *)(shape + head->types);
    const struct note_root *root = (const struct note_root *)(field + head->fields);

    for (uint32_t i = 0; i < head->fields; i++)
        field[i].target += (uint32_t)graph->types;
    for (uint32_t i = 0; i < head->roots; i++) {
        struct section_ref section = section_numbered(cell, root[i].section);
        if (is_root(section, &shape[root[i].type]))
            graph->root[graph->roots++] = (struct graph_root){section, (uint32_t)graph->types + root[i].type};
    }
    for (uint32_t i = 0; i < head->types; i++)
        graph->type[graph->types++] = (struct graph_type){.shape = &shape[i],
                                                          .field = field + shape[i].first,
                                                          .names = (const char *)(root + head->roots),
                                                          .cell = cell};
}

/* ---- opaque types, and which types reach a function ---- */

/* The type that has `tag`; SIZE_MAX: no cell defines it, or two cells define it differently. */
static size_t find_tag(const struct type_graph *graph, uint64_t tag)
{
    size_t found = SIZE_MAX;

    for (size_t i = 0; i < graph->types; i++) {
        const struct note_shape *shape = graph->type[i].shape;
        if (shape->tag != tag)
            continue;
        if (found != SIZE_MAX && graph->type[found].shape->layout != shape->layout)
            return SIZE_MAX;
        found = i;
    }
    return found;
}

/* Has pointers to opaque types refer to the definitions in other cells. */
static void resolve_tags(struct type_graph *graph, const struct graph_type *type)
{
    for (uint32_t i = 0; i < type->shape->fields; i++) {
        struct note_field *field = &type->field[i];
        size_t found = field->what == NOTE_TO_TAG ? find_tag(graph, field->hash) : SIZE_MAX;
        if (found == SIZE_MAX)
            continue;
        field->what = NOTE_TO_TYPE;
        field->target = (uint32_t)found;
    }
}

/* Computes `reaches` and `open` from the types of the fields. True: one of the two has changed. */
static bool update_type(struct type_graph *graph, struct graph_type *type)
{
    bool reaches = type->reaches, open = type->open;

    for (uint32_t i = 0; i < type->shape->fields; i++) {
        const struct note_field *field = &type->field[i];
        bool holds = field->what == NOTE_HOLDS, followed = holds || field->what == NOTE_TO_TYPE;
        reaches |= field->what == NOTE_TO_FUNCTION || (followed && graph->type[field->target].reaches);
        open |= !field->count || (holds && graph->type[field->target].open);
    }
    bool changed = reaches != type->reaches || open != type->open;
    type->reaches = reaches;
    type->open = open;
    return changed;
}

static void connect_types(struct type_graph *graph)
{
    bool changed = true;

    for (size_t i = 0; i < graph->types; i++)
        resolve_tags(graph, &graph->type[i]);
    while (changed) {
        changed = false;
        for (size_t i = 0; i < graph->types; i++)
            changed |= update_type(graph, &graph->type[i]);
    }
}

/* ---- all of them ---- */

struct room {
    size_t types, roots, bytes;
};

static struct room measure_notes(void)
{
    struct room room = {0};
    struct found_note found;

    for_each_cell (i)
        if (find_note(i, &found)) {
            room.types += found.head.types;
            room.roots += found.head.roots;
            room.bytes += round_up(found.bytes);
        }
    return room;
}

/* Reads the sizes of the notes once more, which may be damaged meanwhile: `room` is what was measured. */
static void fill_graph(struct type_graph *graph, uint8_t *notes, struct room room)
{
    struct found_note found;

    for_each_cell (i) {
        if (!find_note(i, &found) || round_up(found.bytes) > room.bytes ||
            found.head.types > room.types - graph->types || found.head.roots > room.roots - graph->roots)
            continue;
        memcpy(notes, found.note, found.bytes);
        if (memcmp(notes, &found.head, sizeof found.head) || !loader_pointers_sound(notes, found.bytes))
            continue;
        add_types(graph, i, (const struct note_pointers *)notes);
        notes += round_up(found.bytes);
        room.bytes -= round_up(found.bytes);
    }
}

struct type_graph *type_graph_new(void)
{
    struct room room = measure_notes();
    size_t types = room.types * sizeof(struct graph_type), roots = room.roots * sizeof(struct graph_root);
    OWN(mapped_pages)
    struct mapped_pages *memory = page_map(sizeof(struct type_graph) + types + roots + room.bytes, PAGE_WRITE);

    if (!memory)
        return NULL;
    struct type_graph *graph = page_start(memory);
    graph->type = (struct graph_type *)(graph + 1);
    graph->root = (struct graph_root *)((uint8_t *)graph->type + types);
    fill_graph(graph, (uint8_t *)graph->root + roots, room);
    connect_types(graph);
    graph->memory = MOVE(memory);
    return graph;
}

void type_graph_put(TAKES struct type_graph *graph)
{
    if (graph)
        mapped_pages_put(MOVE(graph->memory));
}
