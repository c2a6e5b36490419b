/* See rules.h. Types and sections are nodes, added when something refers to them; rules_note.c writes them. */
#include "cells/tool/rules_internal.h"
#include "cells/tool/die.h"
#include "cells/tool/list.h"
#include <dwarf.h>
#include <stdio.h>
#include <string.h>

struct rules *rules_new(const struct types *types)
{
    struct rules *rules = calloc(1, sizeof *rules);

    if (rules)
        rules->tags = types_tags(types);
    return rules;
}

void rules_free(struct rules *rules)
{
    if (!rules)
        return;
    for (size_t i = 0; i < rules->nodes; i++)
        free(rules->node[i].rule);
    free(rules->node);
    free(rules->values);
    free(rules->order);
    strings_done(&rules->names);
    free(rules);
}

/* ---- nodes ---- */

static size_t add_node(struct rules *rules, const struct ruled *node)
{
    struct ruled *room = list_room(rules->node, rules->nodes, &rules->capacity, sizeof *room);

    if (!room) {
        rules->failed = true;
        return 0;
    }
    rules->node = room;
    room[rules->nodes] = *node;
    return rules->nodes++;
}

/* Each unit of a file describes its types again. */
static bool is_same_node(struct ruled *a, struct ruled *b)
{
    if (a->section || a->use != b->use || a->tag != b->tag)
        return false;
    return a->tag ? a->layout == b->layout : dwarf_dieoffset(&a->die) == dwarf_dieoffset(&b->die);
}

static size_t node_of(struct rules *rules, Dwarf_Die *die, enum node_use use)
{
    struct ruled node = {.die = *die, .use = use, .bytes = (uint32_t)field_type_bytes(die)};

    if (tags_has(die) && dwarf_diename(die)) {
        node.tag = hash_tag(die);
        node.layout = use == USE_FOREIGN ? 0 : hash_layout(die);
    }
    for (size_t i = 0; i < rules->nodes; i++)
        if (is_same_node(&rules->node[i], &node))
            return i;
    return add_node(rules, &node);
}

static void add_rule(struct rules *rules, size_t at, const struct rule *rule)
{
    struct ruled *node = &rules->node[at];
    struct rule *room = list_room(node->rule, node->rules, &node->capacity, sizeof *room);

    if (!room) {
        rules->failed = true;
        return;
    }
    node->rule = room;
    room[node->rules++] = *rule;
}

/* ---- whose a type is ---- */

/* Bytes of `path` up to its last slash, without the number of a version: "cells/channel/channel_v2/ring.h" is in
 * "cells/channel/channel". */
static size_t folder_bytes(const char *path)
{
    const char *slash = strrchr(path, '/');
    size_t n = slash ? (size_t)(slash - path) : 0;

    return n > 3 && path[n - 3] == '_' && path[n - 2] == 'v' ? n - 3 : n;
}

static bool is_own(Dwarf_Die *type)
{
    Dwarf_Die unit;
    const char *file = dwarf_decl_file(type), *source = NULL;

    if (dwarf_diecu(type, &unit, NULL, NULL))
        source = dwarf_diename(&unit);
    if (!file || !source)
        return true;
    size_t n = folder_bytes(file), m = folder_bytes(source);
    return n >= m && memcmp(file + n - m, source, m) == 0;
}

/* ---- rules for what DWARF describes ---- */

/* Which values an enumeration has; 0, which fresh data are, is one. Where all are powers of two, any sum of them is. */
static struct note_values read_values(Dwarf_Die *type)
{
    struct note_values values = {0};
    int64_t list[VALUES_MAX] = {0}, all = 0;
    size_t count = 1;
    bool bits = true;
    Dwarf_Die child;

    if (dwarf_child(type, &child) == 0)
        do {
            Dwarf_Attribute a;
            Dwarf_Sword value = 0;
            if (dwarf_tag(&child) != DW_TAG_enumerator ||
                dwarf_formsdata(dwarf_attr(&child, DW_AT_const_value, &a), &value))
                continue;
            bits &= value >= 0 && (value & (value - 1)) == 0;
            all |= value;
            values.low = value < values.low ? value : values.low;
            values.high = value > values.high ? value : values.high;
            if (count < VALUES_MAX)
                list[count++] = value;
        } while (dwarf_siblingof(&child, &child) == 0);
    if (bits)
        values.high = all;
    if (bits || count == VALUES_MAX)
        values.set = UINT64_MAX;
    for (size_t i = 0; i < count; i++)
        if (list[i] - values.low < 64)
            values.set |= 1ull << (list[i] - values.low);
    return values;
}

static bool add_values(struct rules *rules, Dwarf_Die *type, struct note_rule *rule)
{
    const struct note_values values = read_values(type);
    size_t i = 0;

    while (i < rules->value_count && memcmp(&rules->values[i], &values, sizeof values) != 0)
        i++;
    if (i == rules->value_count) {
        struct note_values *room = list_room(rules->values, i, &rules->value_capacity, sizeof *room);
        if (!room || i > UINT16_MAX) {
            rules->failed = true;
            return false;
        }
        rules->values = room;
        room[rules->value_count++] = values;
    }
    rule->what = RULE_VALUES;
    rule->target = (uint16_t)i;
    rule->bytes = (uint8_t)field_type_bytes(type);
    return rule->bytes == 1 || rule->bytes == 2 || rule->bytes == 4 || rule->bytes == 8;
}

/* A pointer. False: nothing can be said of it. */
static bool add_pointer(struct rules *rules, Dwarf_Die *pointer, struct rule *rule)
{
    Dwarf_Die to;

    if (!field_type(pointer, &to))
        return false;
    rule->note.what = RULE_POINTER;
    switch (dwarf_tag(&to)) {
    case DW_TAG_subroutine_type:
        rule->note.what = RULE_FUNCTION;
        return true;
    case DW_TAG_structure_type:
    case DW_TAG_union_type: {
        bool known = tags_define(rules->tags, &to);
        rule->target = node_of(rules, &to, known && is_own(&to) ? USE_OWN : USE_FOREIGN);
        return known || dwarf_diename(&to);
    }
    case DW_TAG_pointer_type:
        rule->target = node_of(rules, &to, USE_OWN);
        return true;
    default:
        rule->note.what = RULE_BYTES;
        uint64_t bytes = field_type_bytes(&to);
        rule->note.target = bytes && bytes <= UINT16_MAX ? (uint16_t)bytes : 1;
        return dwarf_tag(&to) != DW_TAG_unspecified_type;
    }
}

/* Replaces an array type by that of its elements. False: their number is not known. */
static bool peel_array(Dwarf_Die *type, struct note_rule *rule)
{
    struct array array;
    uint64_t count = 1;

    rule->count = 1;
    if (dwarf_tag(type) != DW_TAG_array_type)
        return true;
    if (!array_read(&array, type))
        return false;
    for (size_t i = 0; i < array.dimensions; i++)
        if (__builtin_mul_overflow(count, array.dimension[i], &count) || count > UINT32_MAX)
            return false;
    rule->count = (uint32_t)count;
    return count && field_type(&array.holder, type);
}

/* Adds the rule of node `at` for something of `type`. */
static void add_type(struct rules *rules, size_t at, struct rule rule, Dwarf_Die type)
{
    if (!peel_array(&type, &rule.note))
        return;
    switch (dwarf_tag(&type)) {
    case DW_TAG_pointer_type:
        if (!add_pointer(rules, &type, &rule))
            return;
        break;
    case DW_TAG_structure_type:
        if (!tags_define(rules->tags, &type))
            return;
        rule.note.what = RULE_HOLDS;
        rule.target = node_of(rules, &type, is_own(&type) ? USE_OWN : USE_HELD);
        break;
    case DW_TAG_enumeration_type:
        if (!tags_define(rules->tags, &type) || !add_values(rules, &type, &rule.note))
            return;
        break;
    case DW_TAG_base_type:
        if (field_number(&type) != NUMBER_BOOL || field_type_bytes(&type) != 1)
            return;
        rule.note.what = RULE_BOOL;
        break;
    default:
        return;
    }
    add_rule(rules, at, &rule);
}

static void add_fields(struct rules *rules, size_t at, Dwarf_Die *record)
{
    CLOSED_BY(fields_done) struct fields list = {0};
    Dwarf_Die type;

    rules->failed |= !fields_read(record, &list);
    for (size_t i = 0; i < list.fields; i++) {
        struct field *field = &list.field[i];
        const struct rule rule = {.note.offset = (uint32_t)(field->bit / 8), .name = field->name};
        if (!field->bits && field->bit % 8 == 0 && field_type(&field->die, &type))
            add_type(rules, at, rule, type);
    }
}

/* From node `from` on: those that were added and have no rules yet. */
static void add_all_fields(struct rules *rules, size_t from)
{
    for (size_t i = from; i < rules->nodes && !rules->failed; i++) {
        Dwarf_Die die = rules->node[i].die;
        if (rules->node[i].section || rules->node[i].use == USE_FOREIGN)
            continue;
        if (dwarf_tag(&die) == DW_TAG_structure_type)
            add_fields(rules, i, &die);
        else if (dwarf_tag(&die) == DW_TAG_pointer_type)
            add_type(rules, i, (struct rule){0}, die);
    }
}

void rules_add(struct rules *rules, const char *name, uint32_t section, uint64_t bytes, const struct datum *data,
               size_t count)
{
    const struct ruled node = {.section = section, .name = name, .bytes = (uint32_t)bytes};
    size_t at = add_node(rules, &node);

    for (size_t i = 0; i < count && !rules->failed; i++) {
        Dwarf_Die die = data[i].die, type;
        const struct rule rule = {.note.offset = (uint32_t)data[i].offset, .name = data[i].name};
        if (!data[i].form && field_type(&die, &type))
            add_type(rules, at, rule, type);
    }
    add_all_fields(rules, at + 1);
}

static void add_behind(struct rules *rules, Dwarf_Die *holder)
{
    Dwarf_Die type, to;
    size_t first = rules->nodes;

    if (!field_type(holder, &type))
        return;
    for (int i = 0; i < PEEL_MAX && dwarf_tag(&type) == DW_TAG_pointer_type; i++) {
        if (!field_type(&type, &to))
            return;
        type = to;
    }
    if (dwarf_tag(&type) != DW_TAG_structure_type || !tags_define(rules->tags, &type) || !is_own(&type))
        return;
    size_t at = node_of(rules, &type, USE_OWN);
    if (rules->failed)
        return;
    rules->node[at].wanted = true;
    add_all_fields(rules, first);
}

void rules_add_function(struct rules *rules, Dwarf_Die *function)
{
    Dwarf_Die child;

    add_behind(rules, function);
    if (dwarf_child(function, &child) == 0)
        do
            if (dwarf_tag(&child) == DW_TAG_formal_parameter)
                add_behind(rules, &child);
        while (!rules->failed && dwarf_siblingof(&child, &child) == 0);
}

/* ---- what the source declares ---- */

static struct rule *find_rule(struct ruled *node, const char *name)
{
    for (size_t i = 0; i < node->rules; i++)
        if (node->rule[i].name && strcmp(node->rule[i].name, name) == 0)
            return &node->rule[i];
    return NULL;
}

/* Finds the type of a field that is no bit field, and where it is. */
static bool find_field(Dwarf_Die *record, const char *name, uint32_t *ret_offset, Dwarf_Die *ret_type)
{
    CLOSED_BY(fields_done) struct fields list = {0};
    bool found = false;

    if (!fields_read(record, &list))
        return false;
    for (size_t i = 0; i < list.fields && !found; i++) {
        struct field *field = &list.field[i];
        if (strcmp(field->name, name) != 0 || field->bits || field->bit % 8)
            continue;
        *ret_offset = (uint32_t)(field->bit / 8);
        found = field_type(&field->die, ret_type);
    }
    return found;
}

static bool find_number(Dwarf_Die *record, const char *name, uint32_t *ret_offset, uint8_t *ret_bytes)
{
    Dwarf_Die type;

    if (!find_field(record, name, ret_offset, &type))
        return false;
    *ret_bytes = (uint8_t)field_type_bytes(&type);
    return field_number(&type) == NUMBER_UNSIGNED;
}

/* What the elements of the array are to which the pointer refers, which has been given the rule of a pointer. */
static size_t element_of(struct rules *rules, size_t at, const struct rule *pointer)
{
    Dwarf_Die record = rules->node[at].die, type, to;
    uint32_t offset;

    if (pointer->note.what == RULE_BYTES && find_field(&record, pointer->name, &offset, &type) &&
        field_type(&type, &to))
        return node_of(rules, &to, USE_FOREIGN);
    return pointer->target;
}

static bool is_pointer(const struct rule *rule)
{
    return rule && (rule->note.what == RULE_POINTER || rule->note.what == RULE_LIST) && rule->note.count == 1;
}

/* Has node `at` say that the pointer refers to an array. */
static bool add_array(struct rules *rules, size_t at, const struct declared_invariant *invariant)
{
    const struct rule *pointer = find_rule(&rules->node[at], invariant->field);
    struct rule rule = {.note.what = RULE_ARRAY, .name = invariant->field};
    Dwarf_Die record = rules->node[at].die;

    if (!pointer || (pointer->note.what != RULE_BYTES && pointer->note.what != RULE_POINTER) ||
        pointer->note.count != 1 || !find_number(&record, invariant->other, &rule.note.other, &rule.note.bytes))
        return false;
    rule.note.offset = pointer->note.offset;
    rule.target = element_of(rules, at, pointer);
    *find_rule(&rules->node[at], invariant->field) = rule;
    return true;
}

static bool add_length(struct rules *rules, size_t at, const struct declared_invariant *invariant)
{
    struct rule rule = {.note.what = RULE_LENGTH, .name = invariant->field};
    Dwarf_Die record = rules->node[at].die;
    uint8_t bytes;

    if (!find_number(&record, invariant->field, &rule.note.offset, &rule.note.bytes) ||
        !find_number(&record, invariant->other, &rule.note.other, &bytes))
        return false;
    rule.note.target = bytes;
    add_rule(rules, at, &rule);
    return true;
}

/* Has node `at` say of the pointer that it makes a list, or that there is one back. */
static bool add_link(struct rules *rules, size_t at, const struct declared_invariant *invariant)
{
    struct rule *pointer = find_rule(&rules->node[at], invariant->field);

    if (!is_pointer(pointer))
        return false;
    if (invariant->what == RULE_LIST) {
        pointer->note.what = RULE_LIST;
        return pointer->target == at;
    }
    const struct rule *back = find_rule(&rules->node[pointer->target], invariant->other);
    if (!is_pointer(back) || back->target != at)
        return false;
    const struct rule rule = {.note = {.what = RULE_BACK, .offset = pointer->note.offset, .other = back->note.offset},
                              .target = pointer->target,
                              .name = invariant->field};
    add_rule(rules, at, &rule);
    return true;
}

/* False: a field does not exist, or is of another kind. */
static bool add_invariant(struct rules *rules, size_t at, const struct declared_invariant *invariant)
{
    if (invariant->what == RULE_LENGTH)
        return add_length(rules, at, invariant);
    return invariant->what == RULE_ARRAY ? add_array(rules, at, invariant) : add_link(rules, at, invariant);
}

static bool find_record(const struct rules *rules, const char *tag, Dwarf_Die *ret_record)
{
    for (size_t i = 0; i < rules->tags->entries; i++)
        if (rules->tags->entry[i].kind == DW_TAG_structure_type && strcmp(rules->tags->entry[i].name, tag) == 0) {
            *ret_record = rules->tags->entry[i].die;
            return true;
        }
    return false;
}

enum err rules_add_invariants(struct rules *rules, const struct declaration *declaration, const char *path)
{
    for (size_t i = 0; i < declaration->invariants; i++) {
        const struct declared_invariant *invariant = &declaration->invariant[i];
        size_t first = rules->nodes;
        Dwarf_Die record;
        if (!find_record(rules, invariant->tag, &record))
            return complain(ERR_INVALID, path, "an invariant of struct %s, which there is not", invariant->tag);
        size_t at = node_of(rules, &record, USE_OWN);
        add_all_fields(rules, first);
        if (rules->failed)
            return complain(ERR_NOMEM, path, "out of memory");
        rules->node[at].wanted = true;
        if (!add_invariant(rules, at, invariant))
            return complain(ERR_INVALID, path, "an invariant of struct %s: `%s` or `%s` is not what it must be",
                            invariant->tag, invariant->field, invariant->other);
    }
    return ERR_OK;
}
