/* Names a datum: the static datum where the walk began, and the fields on the way: "volume->root.first->next". */
#include "cells/recover/check/inside.h"
#include "cells/lib/format/format.h"

#define HOPS_MAX 3 /* pointers that a path names, the last ones */

struct path {
    char *text;
    size_t bytes;
};

static void append(struct path *path, const char *words)
{
    path->bytes += format_print(path->text + path->bytes, CHECK_PATH_BYTES - path->bytes, "%s", words);
}

static void append_number(struct path *path, uint32_t number)
{
    path->bytes += format_print(path->text + path->bytes, CHECK_PATH_BYTES - path->bytes, "[%u]", number);
}

/* Adds the field at byte `at` of a type: "slots[2].call". */
static void append_field(struct path *path, const struct rules *note, uint32_t index, uint32_t at, unsigned depth)
{
    const any_ruled *type = &note->type[index];

    for (uint32_t i = 0; depth < DEPTH_MAX && i < type->rules; i++) {
        const any_rule *rule = &note->rule[type->first + i];
        uint32_t each = rule_bytes(note, rule), count = rule_is_of_two(rule) ? 1 : rule->count;
        if (at < rule->offset || (at - rule->offset) / each >= count)
            continue;
        const char *name = note->names + rule->name;
        if (*name && path->bytes && path->text[path->bytes - 1] != '>')
            append(path, ".");
        append(path, name);
        if (count != 1)
            append_number(path, (at - rule->offset) / each);
        if (rule->what == RULE_HOLDS)
            append_field(path, note, rule->target, (at - rule->offset) % each, depth + 1);
        return;
    }
}

void path_write(const struct walk *walk, const struct object *object, uint32_t at, char ret_path[CHECK_PATH_BYTES])
{
    struct path path = {.text = ret_path};
    struct {
        const struct object *object;
        uint32_t at;
    } hop[HOPS_MAX] = {};
    size_t hops = 0, all = 0;

    ret_path[0] = '\0';
    for (; object->parent != NO_PARENT; object = &walk->object[object->parent], all++) {
        if (hops < HOPS_MAX) {
            hop[hops].object = object;
            hop[hops++].at = at;
        }
        at = object->at;
    }
    append_field(&path, &walk->note[object->note], object->type, at, 0);
    if (all > hops)
        append(&path, "->..");
    while (hops-- > 0) {
        const struct object *o = hop[hops].object;
        uint32_t bytes = walk->note[o->note].type[o->type].bytes;
        if (o->count > 1)
            append_number(&path, hop[hops].at / bytes);
        append(&path, o->count > 1 ? "" : "->");
        append_field(&path, &walk->note[o->note], o->type, hop[hops].at % bytes, 0);
    }
}
