/* Checks an object's note on pointers to functions. Invariant: after loader_pointers_sound every index, offset and name
 * in the note is in range, and no type contains itself. Reads unaligned bytes only; touches no record. */
#include "cells/core/loader/pointers.h"
#include "cells/core/loader/loader.h"

EXPORT(loader_pointers_sound, KERNEL);

bool pointers_open(const void *data, size_t bytes, struct pointers *ret_pointers)
{
    const any_pointers *head = data;
    struct pointers p = {.head = head, .shape = (const any_shape *)(head + 1)};

    if (bytes < sizeof *head)
        return false;
    size_t names = bytes - head->name_bytes;
    size_t at = sizeof *head + (size_t)head->types * sizeof *p.shape + (size_t)head->fields * sizeof *p.field +
                (size_t)head->roots * sizeof *p.root;
    if (!head->name_bytes || head->name_bytes > bytes || at != names || ((const char *)data)[bytes - 1])
        return false;
    p.field = (const any_field *)(p.shape + head->types);
    p.root = (const any_root *)(p.field + head->fields);
    *ret_pointers = p;
    return true;
}

/* Of type `index`. */
static bool field_sound(const struct pointers *p, const any_field *field, uint32_t index)
{
    bool holds = field->what == NOTE_HOLDS;
    uint32_t bytes = p->shape[index].bytes;

    if (field->what - 1u >= NOTE_HOLDS || field->name >= p->head->name_bytes ||
        field->target >= (holds ? index : p->head->types))
        return false;
    uint64_t each = holds ? p->shape[field->target].bytes : 8;
    uint64_t last = field->count ? (uint64_t)(field->count - 1) * field->stride + each : 0;
    return each && field->stride >= each && field->offset <= bytes && last <= bytes - field->offset;
}

bool loader_pointers_sound(const void *note, size_t bytes)
{
    struct pointers p;
    uint32_t at = 0;

    if (!pointers_open(note, bytes, &p))
        return false;
    for (uint32_t i = 0; i < p.head->types; i++) {
        const any_shape *shape = &p.shape[i];
        if (shape->first != at || shape->fields > p.head->fields - at || shape->name >= p.head->name_bytes)
            return false;
        for (; at < shape->first + shape->fields; at++)
            if (!field_sound(&p, &p.field[at], i))
                return false;
    }
    for (uint32_t i = 0; i < p.head->roots; i++)
        if (p.root[i].type >= p.head->types)
            return false;
    return at == p.head->fields;
}
