/* See ways.h. */
#include "cells/kernel/swap/ways.h"
#include "cells/kernel/arena/arena.h"
#include "cells/kernel/loader/loader.h"
#include "cells/lib/string/string.h"

/* Where a cell's note is, by what it says of its own size. */
struct place {
    const uint8_t *note;
    size_t bytes;
    struct note_pointers head;
};

static bool find_note(uint32_t cell, struct place *ret_place)
{
    const struct arena_cell *c = arena_cell(cell);
    struct place place;

    if (c->state != CELL_LIVE || !c->object || !c->pointers)
        return false;
    const struct arena_object *object = arena_object(c->object);
    if (c->pointers > object->bytes || sizeof place.head > object->bytes - c->pointers)
        return false;
    place.note = (const uint8_t *)page_direct(object->phys) + c->pointers;
    memcpy(&place.head, place.note, sizeof place.head);
    place.bytes = sizeof place.head + (size_t)place.head.types * sizeof(struct note_shape) +
                  (size_t)place.head.fields * sizeof(struct note_field) +
                  (size_t)place.head.roots * sizeof(struct note_root) + place.head.name_bytes;
    if (place.bytes > object->bytes - c->pointers)
        return false;
    *ret_place = place;
    return true;
}

static size_t whole(size_t bytes)
{
    return (bytes + 7) & ~7ul;
}

/* The section of the cell that was number `index` of its object; 0: there is none. */
static uint32_t section_of(uint32_t cell, uint32_t index)
{
    uint32_t s = arena_cell(cell)->first_section;

    while (s && arena_section(s)->object_index != index)
        s = arena_section(s)->next_in_cell;
    return s;
}

static bool fits(uint32_t section, const struct note_shape *shape)
{
    const struct arena_section *s = arena_section(section);

    return section && (s->kind == SECTION_DATA || s->kind == SECTION_BSS) && shape->bytes <= s->bytes;
}

static void add_types(struct ways *ways, uint32_t cell, const struct note_pointers *head)
{
    const struct note_shape *shape = (const struct note_shape *)(head + 1);
    struct note_field *field = (struct note_field *)(shape + head->types);
    const struct note_root *root = (const struct note_root *)(field + head->fields);

    for (uint32_t i = 0; i < head->fields; i++)
        field[i].target += (uint32_t)ways->types;
    for (uint32_t i = 0; i < head->roots; i++) {
        uint32_t section = section_of(cell, root[i].section);
        if (fits(section, &shape[root[i].type]))
            ways->root[ways->roots++] = (struct way_root){section, (uint32_t)ways->types + root[i].type};
    }
    for (uint32_t i = 0; i < head->types; i++)
        ways->type[ways->types++] = (struct way_type){.shape = &shape[i],
                                                      .field = field + shape[i].first,
                                                      .names = (const char *)(root + head->roots),
                                                      .cell = cell};
}

/* ---- what is opaque, and what leads on ---- */

/* The type of that tag; SIZE_MAX: nobody defines it, or two do so otherwise. */
static size_t find_tag(const struct ways *ways, uint64_t tag)
{
    size_t found = SIZE_MAX;

    for (size_t i = 0; i < ways->types; i++) {
        const struct note_shape *shape = ways->type[i].shape;
        if (shape->tag != tag)
            continue;
        if (found != SIZE_MAX && ways->type[found].shape->layout != shape->layout)
            return SIZE_MAX;
        found = i;
    }
    return found;
}

static void resolve(struct ways *ways, const struct way_type *type)
{
    for (uint32_t i = 0; i < type->shape->fields; i++) {
        struct note_field *field = &type->field[i];
        size_t found = field->what == NOTE_TO_TAG ? find_tag(ways, field->hash) : SIZE_MAX;
        if (found == SIZE_MAX)
            continue;
        field->what = NOTE_TO_TYPE;
        field->target = (uint32_t)found;
    }
}

static bool learn(struct ways *ways, struct way_type *type)
{
    bool leads = type->leads, open = type->open;

    for (uint32_t i = 0; i < type->shape->fields; i++) {
        const struct note_field *field = &type->field[i];
        bool holds = field->what == NOTE_HOLDS, on = holds || field->what == NOTE_TO_TYPE;
        leads |= field->what == NOTE_TO_FUNCTION || (on && ways->type[field->target].leads);
        open |= !field->count || (holds && ways->type[field->target].open);
    }
    bool changed = leads != type->leads || open != type->open;
    type->leads = leads;
    type->open = open;
    return changed;
}

static void connect(struct ways *ways)
{
    bool changed = true;

    for (size_t i = 0; i < ways->types; i++)
        resolve(ways, &ways->type[i]);
    while (changed) {
        changed = false;
        for (size_t i = 0; i < ways->types; i++)
            changed |= learn(ways, &ways->type[i]);
    }
}

/* ---- all of them ---- */

struct room {
    size_t types, roots, bytes;
};

static struct room measure(void)
{
    uint32_t used = arena_header()->table[ARENA_CELLS].used;
    struct room room = {0};
    struct place place;

    for (uint32_t i = 1; i < used; i++)
        if (find_note(i, &place)) {
            room.types += place.head.types;
            room.roots += place.head.roots;
            room.bytes += whole(place.bytes);
        }
    return room;
}

/* What the notes say of their sizes is read once more: `room` is what there is. */
static void fill(struct ways *ways, uint8_t *notes, struct room room)
{
    uint32_t used = arena_header()->table[ARENA_CELLS].used;
    struct place place;

    for (uint32_t i = 1; i < used; i++) {
        if (!find_note(i, &place) || whole(place.bytes) > room.bytes || place.head.types > room.types - ways->types ||
            place.head.roots > room.roots - ways->roots)
            continue;
        memcpy(notes, place.note, place.bytes);
        if (memcmp(notes, &place.head, sizeof place.head) || !loader_pointers_sound(notes, place.bytes))
            continue;
        add_types(ways, i, (const struct note_pointers *)notes);
        notes += whole(place.bytes);
        room.bytes -= whole(place.bytes);
    }
}

struct ways *ways_gather(void)
{
    struct room room = measure();
    size_t types = room.types * sizeof(struct way_type), roots = room.roots * sizeof(struct way_root);
    OWN(mapped_pages)
    struct mapped_pages *memory = page_map(sizeof(struct ways) + types + roots + room.bytes, PAGE_WRITE);

    if (!memory)
        return NULL;
    struct ways *ways = page_start(memory);
    ways->type = (struct way_type *)(ways + 1);
    ways->root = (struct way_root *)((uint8_t *)ways->type + types);
    fill(ways, (uint8_t *)ways->root + roots, room);
    connect(ways);
    ways->memory = MOVE(memory);
    return ways;
}

void ways_put(TAKES struct ways *ways)
{
    if (ways)
        mapped_pages_put(MOVE(ways->memory));
}
