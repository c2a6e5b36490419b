/* See hash.h. */
#include "cells/tool/hash.h"
#include "cells/tool/die.h"
#include "cells/tool/list.h"
#include <dwarf.h>
#include <stdio.h>
#include <string.h>

#define DEPTH_MAX 64 /* of nested types; deeper is cut off on both sides alike */

/* Named types that pointers lead to, in the order in which they were met. */
struct reach {
    const struct tags *tags;
    Dwarf_Die *type;
    size_t types, capacity;
    bool failed;
};

struct text {
    uint64_t hash;
    unsigned depth;
    bool open_array;     /* the next array is that of a variable */
    struct reach *reach; /* NULL: what pointers lead to does not count */
};

static void put(struct text *t, const char *words)
{
    for (const char *p = words; *p; p++)
        t->hash = (t->hash ^ (uint8_t)*p) * 0x100000001b3;
    t->hash = (t->hash ^ 0xff) * 0x100000001b3; /* ends a word: "ab" "c" is not "a" "bc" */
}

static void put_number(struct text *t, uint64_t value)
{
    char digits[24];

    snprintf(digits, sizeof digits, "%llu", (unsigned long long)value);
    put(t, digits);
}

static void put_type(struct text *t, Dwarf_Die *holder, bool strip, bool behind);

static void put_members(struct text *t, Dwarf_Die *type, bool behind)
{
    Dwarf_Die child;

    put_number(t, die_number(type, DW_AT_byte_size, 0));
    if (dwarf_child(type, &child) != 0)
        return;
    do {
        switch (dwarf_tag(&child)) {
        case DW_TAG_member:
            put(t, dwarf_diename(&child) ?: "-");
            put_number(t, die_number(&child, DW_AT_data_member_location, 0));
            put_number(t, die_number(&child, DW_AT_data_bit_offset, 0));
            put_number(t, die_number(&child, DW_AT_bit_size, 0));
            put_type(t, &child, false, behind);
            break;
        case DW_TAG_enumerator:
            put(t, dwarf_diename(&child) ?: "-");
            put_number(t, die_number(&child, DW_AT_const_value, 0));
            break;
        default:
            break;
        }
    } while (dwarf_siblingof(&child, &child) == 0);
}

/* `extern int table[]` is the same variable as `int table[8]`: the first dimension of a variable does not count. */
static void put_array(struct text *t, Dwarf_Die *type, bool behind)
{
    Dwarf_Die child;
    bool counts = !t->open_array;

    t->open_array = false;
    put(t, "array");
    if (dwarf_child(type, &child) == 0)
        do {
            if (counts)
                put_number(t, die_elements(&child));
            counts = true;
        } while (dwarf_siblingof(&child, &child) == 0);
    put_type(t, type, false, behind);
}

static void put_signature(struct text *t, Dwarf_Die *function, bool behind)
{
    Dwarf_Die child;

    put(t, "function");
    put_type(t, function, true, behind);
    if (dwarf_child(function, &child) == 0)
        do {
            if (dwarf_tag(&child) == DW_TAG_formal_parameter)
                put_type(t, &child, true, behind);
            else if (dwarf_tag(&child) == DW_TAG_unspecified_parameters)
                put(t, "...");
        } while (dwarf_siblingof(&child, &child) == 0);
    put(t, "end");
}

static void put_function(struct text *t, Dwarf_Die *function, bool behind)
{
    struct reach *reach = t->reach;

    t->reach = NULL;
    put_signature(t, function, behind);
    t->reach = reach;
}

static bool is_same_tag(Dwarf_Die *a, Dwarf_Die *b)
{
    return dwarf_tag(a) == dwarf_tag(b) && strcmp(dwarf_diename(a), dwarf_diename(b)) == 0;
}

static void add_reached(struct reach *reach, Dwarf_Die *type)
{
    for (size_t i = 0; i < reach->types; i++)
        if (is_same_tag(&reach->type[i], type))
            return;
    Dwarf_Die *room = list_room(reach->type, reach->types, &reach->capacity, sizeof *room);
    if (!room) {
        reach->failed = true;
        return;
    }
    reach->type = room;
    room[reach->types++] = *type;
}

/* Structures, unions, enumerations. `behind` a pointer the tag alone, but for those without one. */
static void put_tagged(struct text *t, Dwarf_Die *type, const char *what, bool behind)
{
    const char *tag = dwarf_diename(type);

    t->open_array = false;
    put(t, what);
    put(t, tag ?: "-");
    if (!tag || (!behind && !die_flag(type, DW_AT_declaration)))
        put_members(t, type, behind);
    else if (behind && t->reach)
        add_reached(t->reach, type);
}

static void put_base(struct text *t, Dwarf_Die *type)
{
    put(t, "base");
    put_number(t, die_number(type, DW_AT_encoding, 0));
    put_number(t, die_number(type, DW_AT_byte_size, 0));
}

static void put_peeled(struct text *t, Dwarf_Die *type, bool behind)
{
    switch (dwarf_tag(type)) {
    case DW_TAG_base_type:
        put_base(t, type);
        break;
    case DW_TAG_pointer_type:
        t->open_array = false;
        put(t, "*");
        put_type(t, type, false, true);
        break;
    case DW_TAG_const_type:
        put(t, "const");
        put_type(t, type, false, behind);
        break;
    case DW_TAG_volatile_type:
        put(t, "volatile");
        put_type(t, type, false, behind);
        break;
    case DW_TAG_atomic_type:
        put(t, "atomic");
        put_type(t, type, false, behind);
        break;
    case DW_TAG_structure_type:
        put_tagged(t, type, "struct", behind);
        break;
    case DW_TAG_union_type:
        put_tagged(t, type, "union", behind);
        break;
    case DW_TAG_enumeration_type:
        put_tagged(t, type, "enum", behind);
        break;
    case DW_TAG_array_type:
        put_array(t, type, behind);
        break;
    case DW_TAG_subroutine_type:
        put_function(t, type, behind);
        break;
    default:
        put_number(t, (uint64_t)dwarf_tag(type));
        break;
    }
}

/* The type that `holder` (a variable, member, parameter, pointer, function result) names. */
static void put_type(struct text *t, Dwarf_Die *holder, bool strip, bool behind)
{
    Dwarf_Die type;

    if (!die_type(holder, &type) || !die_peel(&type, strip)) {
        put(t, "void");
        return;
    }
    if (t->depth == DEPTH_MAX) {
        put(t, "deep");
        return;
    }
    t->depth++;
    put_peeled(t, &type, behind);
    t->depth--;
}

static struct text begin(struct reach *reach)
{
    return (struct text){.hash = 0xcbf29ce484222325, .reach = reach};
}

static uint64_t end(const struct text *t)
{
    return t->hash ? t->hash : 1;
}

uint64_t hash_variable(Dwarf_Die *variable)
{
    struct text t = begin(NULL);

    put(&t, "variable");
    t.open_array = true;
    put_type(&t, variable, false, false);
    return end(&t);
}

/* What is reached grows while it is written. */
static void put_reached(struct text *t)
{
    for (size_t i = 0; i < t->reach->types; i++) {
        Dwarf_Die type = t->reach->type[i];

        put(t, "behind");
        put_number(t, (uint64_t)dwarf_tag(&type));
        put(t, dwarf_diename(&type));
        if (tags_define(t->reach->tags, &type))
            put_members(t, &type, false);
    }
}

/* After the last word of a text. */
static uint64_t finish(struct text *t)
{
    bool failed = false;

    if (t->reach) {
        put_reached(t);
        failed = t->reach->failed;
        free(t->reach->type);
    }
    return failed ? 0 : end(t);
}

uint64_t hash_function(Dwarf_Die *function, const struct tags *tags)
{
    struct reach reach = {.tags = tags};
    struct text t = begin(tags ? &reach : NULL);

    put_signature(&t, function, false);
    return finish(&t);
}

uint64_t hash_type(Dwarf_Die *holder, const struct tags *tags)
{
    struct reach reach = {.tags = tags};
    struct text t = begin(tags ? &reach : NULL);

    put_type(&t, holder, false, false);
    return finish(&t);
}

uint64_t hash_tag(Dwarf_Die *type)
{
    struct text t = begin(NULL);

    put_number(&t, (uint64_t)dwarf_tag(type));
    put(&t, dwarf_diename(type) ?: "");
    return end(&t);
}

uint64_t hash_layout(Dwarf_Die *type)
{
    struct text t = begin(NULL);

    put_members(&t, type, false);
    return end(&t);
}

uint64_t hash_behind(Dwarf_Die *pointer, const struct tags *tags)
{
    struct reach reach = {.tags = tags};
    struct text t = begin(&reach);

    put_type(&t, pointer, false, true);
    return finish(&t);
}

uint64_t hash_data(const struct datum *data, size_t count, const struct tags *tags)
{
    struct reach reach = {.tags = tags};
    struct text t = begin(tags ? &reach : NULL);

    for (size_t i = 0; i < count; i++) {
        Dwarf_Die die = data[i].die;

        put_number(&t, data[i].offset);
        if (count > 1)
            put(&t, data[i].name);
        put_type(&t, &die, false, false);
    }
    return finish(&t);
}
