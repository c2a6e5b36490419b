/* The walk: objects are found along pointers, each once for each type, and looked at in the order in which they were
 * found. */
#include "cells/recover/check/inside.h"
#include "cells/lib/format/format.h"
#include "cells/lib/string/string.h"

/* Where in an object a type begins that is looked at. */
struct place {
    uint16_t object;
    uint32_t base; /* bytes from the start of the object */
    uint16_t type; /* in the object's note */
};

static uint64_t read_number(const uint8_t *bytes, uint32_t size)
{
    uint64_t number = 0;

    memcpy(&number, bytes, size);
    return number;
}

/* ---- findings ---- */

static const char *const pointer_words[] = {
    [POINTER_NO_ADDRESS] = "no address",
    [POINTER_ALIGNMENT] = "a pointer that is not aligned",
    [POINTER_UNMAPPED] = "a pointer to what is not mapped",
    [POINTER_FREED] = "a pointer to a freed block",
    [POINTER_BEYOND] = "a pointer to too few bytes",
    [POINTER_NO_FUNCTION] = "a pointer to no function",
};

static void report(struct walk *walk, struct place place, const any_rule *rule, uint64_t value, const char *what)
{
    struct object *object = &walk->object[place.object];
    uint32_t at = place.base + rule->offset;

    if (walk->findings++ >= walk->max)
        return;
    struct check_finding *finding = &walk->finding[walk->findings - 1];
    *finding =
        (struct check_finding){.cell = walk->note[object->note].cell, .address = object->virt + at, .value = value};
    for (const struct object *o = object; o->parent != NO_PARENT; o = &walk->object[o->parent])
        finding->cell = walk->note[walk->object[o->parent].note].cell;
    format_print(finding->what, sizeof finding->what, "%s: %lx", what, value);
    path_write(walk, object, at, finding->path);
}

/* ---- objects ---- */

static uint16_t *slot_for(struct walk *walk, uint64_t virt, uint16_t note, uint16_t type)
{
    size_t at = ((virt >> 3) * 0x9e3779b97f4a7c15 + (note << 16 | type) * 0xff51afd7ed558ccdull) >> 24 & (SLOTS - 1);

    for (uint16_t n; (n = walk->slot[at]); at = (at + 1) & (SLOTS - 1)) {
        const struct object *object = &walk->object[n - 1];
        if (object->virt == virt && object->type == type && object->note == note)
            break;
    }
    return &walk->slot[at];
}

/* The object there, added if it is new. NULL: there is no room, or it cannot be read. */
static struct object *add_object(struct walk *walk, const struct object *object, uint64_t bytes)
{
    uint16_t *slot = slot_for(walk, object->virt, object->note, object->type);

    if (*slot)
        return &walk->object[*slot - 1];
    const uint8_t *data = walk->objects < OBJECTS_MAX ? pointer_bytes(object->virt, bytes) : NULL;
    if (!data)
        return NULL;
    struct object *added = &walk->object[walk->objects++];
    *added = *object;
    added->bytes = data;
    *slot = (uint16_t)walk->objects;
    return added;
}

/* Replaces a type that is another cell's by its definition there. False: it is not to be looked at: no cell defines it,
 * or two do. */
static bool resolve(const struct walk *walk, uint16_t *note, uint16_t *type)
{
    const any_ruled *t = &walk->note[*note].type[*type];
    uint64_t tag = t->tag;
    unsigned found = 0;

    if (t->own || !tag)
        return t->rules;
    for (uint16_t n = 0; n < walk->notes; n++)
        for (uint16_t i = 0; i < walk->note[n].head->types; i++) {
            const any_ruled *other = &walk->note[n].type[i];
            if (!other->own || other->tag != tag)
                continue;
            *note = n;
            *type = i;
            found++;
        }
    return found == 1 && walk->note[*note].type[*type].rules;
}

/* Whether a type begins on multiples of 8 bytes: it has a pointer, and that lies so. */
static bool is_aligned(const struct rules *rules, const any_ruled *type)
{
    for (uint32_t i = 0; i < type->rules; i++) {
        const any_rule *rule = &rules->rule[type->first + i];
        bool pointer = rule->what == RULE_POINTER || rule->what == RULE_LIST || rule->what == RULE_FUNCTION;
        if (pointer && rule->offset % 8 == 0 && type->bytes % 8 == 0)
            return true;
    }
    return false;
}

/* ---- rules ---- */

/* A pointer to `count` of the rule's target. */
static void check_pointer(struct walk *walk, struct place place, const any_rule *rule, uint32_t at, uint64_t count)
{
    uint16_t note = walk->object[place.object].note, type = rule->target;
    uint64_t virt = read_number(walk->object[place.object].bytes + place.base + at, 8), bytes;
    bool known = resolve(walk, &note, &type);
    const any_ruled *t = &walk->note[note].type[type];

    if (!virt)
        return;
    if (__builtin_mul_overflow(count, t->bytes ?: 1, &bytes) || bytes > UINT32_MAX) {
        report(walk, place, rule, virt, "a pointer to far too much");
        return;
    }
    enum pointer_fault fault = pointer_check(virt, bytes, is_aligned(&walk->note[note], t));
    if (fault) {
        report(walk, place, rule, virt, pointer_words[fault]);
        return;
    }
    const struct object object = {.virt = virt,
                                  .note = note,
                                  .type = type,
                                  .count = (uint32_t)count,
                                  .parent = place.object,
                                  .at = place.base + at};
    struct object *to = known && t->bytes ? add_object(walk, &object, bytes) : NULL;
    uint64_t holder = walk->object[place.object].virt + place.base + at;
    if (!to || rule->what != RULE_LIST)
        return;
    if (to->listed && to->listed != holder)
        report(walk, place, rule, virt, "what is in a list twice");
    to->listed = holder;
}

static void check_array(struct walk *walk, struct place place, const any_rule *rule)
{
    const uint8_t *bytes = walk->object[place.object].bytes + place.base;
    uint64_t count = read_number(bytes + rule->other, rule->bytes);

    if (count && !read_number(bytes + rule->offset, 8))
        report(walk, place, rule, count, "no array, of a length");
    else if (count)
        check_pointer(walk, place, rule, rule->offset, count);
}

/* Both pointers have rules of their own, which see to what is no pointer. */
static void check_back(struct walk *walk, struct place place, const any_rule *rule)
{
    const struct object *object = &walk->object[place.object];
    uint64_t virt = read_number(object->bytes + place.base + rule->offset, 8), here = object->virt + place.base;
    const uint8_t *back = virt ? pointer_bytes(virt + rule->other, 8) : NULL;
    uint64_t found = back ? read_number(back, 8) : here;

    if (found != here && (!found || pointer_check(found, 1, false) == POINTER_RIGHT))
        report(walk, place, rule, found, "another pointer back");
}

static void check_values(struct walk *walk, struct place place, const any_rule *rule, uint32_t at)
{
    const struct object *object = &walk->object[place.object];
    const any_values *values = &walk->note[object->note].values[rule->target];
    uint64_t number = read_number(object->bytes + place.base + at, rule->bytes);
    unsigned spare = 64 - 8 * rule->bytes;
    int64_t value = values->low < 0 ? (int64_t)(number << spare) >> spare : (int64_t)number;
    uint64_t above = (uint64_t)value - (uint64_t)values->low;

    if (value < values->low || value > values->high ||
        ((uint64_t)values->high - (uint64_t)values->low < 64 && !(values->set >> above & 1)))
        report(walk, place, rule, number, "no value of its enumeration");
}

static void check_length(struct walk *walk, struct place place, const any_rule *rule)
{
    const uint8_t *bytes = walk->object[place.object].bytes + place.base;
    uint64_t length = read_number(bytes + rule->offset, rule->bytes);

    if (length > read_number(bytes + rule->other, rule->target))
        report(walk, place, rule, length, "a length that is too large");
}

static void check_word(struct walk *walk, struct place place, const any_rule *rule, uint32_t at)
{
    const uint8_t *bytes = walk->object[place.object].bytes + place.base + at;
    uint64_t word = read_number(bytes, rule->what == RULE_BOOL || rule->what == RULE_VALUES ? 1 : 8);
    enum pointer_fault fault = POINTER_RIGHT;

    switch (rule->what) {
    case RULE_POINTER:
    case RULE_LIST:
        check_pointer(walk, place, rule, at, 1);
        return;
    case RULE_VALUES:
        check_values(walk, place, rule, at);
        return;
    case RULE_BOOL:
        if (word > 1)
            report(walk, place, rule, word, "neither false nor true");
        return;
    case RULE_FUNCTION:
        fault = word ? pointer_check_function(word) : POINTER_RIGHT;
        break;
    default: /* of RULE_BYTES; one byte: that may be behind the end of a text */
        fault = word ? pointer_check(word, rule->target > 1 ? rule->target : 0, false) : POINTER_RIGHT;
    }
    if (fault)
        report(walk, place, rule, word, pointer_words[fault]);
}

static void check_type(struct walk *walk, struct place place, unsigned depth);

static void check_rule(struct walk *walk, struct place place, const any_rule *rule, unsigned depth)
{
    const struct rules *note = &walk->note[walk->object[place.object].note];
    uint32_t each = rule_bytes(note, rule);

    if (rule->what == RULE_ARRAY)
        check_array(walk, place, rule);
    else if (rule->what == RULE_BACK)
        check_back(walk, place, rule);
    else if (rule->what == RULE_LENGTH)
        check_length(walk, place, rule);
    for (uint32_t k = 0; !rule_is_of_two(rule) && k < rule->count && walk->steps < STEPS_MAX; k++) {
        uint32_t at = rule->offset + k * each;
        walk->steps++;
        if (rule->what == RULE_HOLDS)
            check_type(walk, (struct place){place.object, place.base + at, rule->target}, depth + 1);
        else
            check_word(walk, place, rule, at);
    }
}

static void check_type(struct walk *walk, struct place place, unsigned depth)
{
    const struct rules *note = &walk->note[walk->object[place.object].note];
    const any_ruled *type = &note->type[place.type];

    for (uint32_t i = 0; i < type->rules && depth < DEPTH_MAX && walk->steps < STEPS_MAX; i++, walk->steps++)
        check_rule(walk, place, &note->rule[type->first + i], depth);
}

static void check_object(struct walk *walk, uint16_t index)
{
    const struct object *object = &walk->object[index];
    uint32_t bytes = walk->note[object->note].type[object->type].bytes;

    for (uint32_t i = 0; i < object->count && walk->steps < STEPS_MAX; i++)
        check_type(walk, (struct place){index, i * bytes, object->type}, 0);
}

/* ---- where it begins ---- */

/* The section of the cell that has number `index` in its object, or none. */
static struct section_ref section_numbered(struct cell_ref cell, uint32_t index)
{
    for_each_section_of (s, cell)
        if (arena_section(s)->object_index == index)
            return s;
    return NO_SECTION;
}

void walk_add(struct walk *walk, uint16_t n, uint16_t type, uint64_t virt)
{
    const struct object root = {.virt = virt, .note = n, .type = type, .count = 1, .parent = NO_PARENT};

    (void)add_object(walk, &root, walk->note[n].type[type].bytes);
}

static void add_roots(struct walk *walk, uint16_t n)
{
    const struct rules *note = &walk->note[n];

    for (uint32_t i = 0; i < note->head->roots; i++) {
        struct section_ref section = section_numbered(note->cell, note->root[i].section);
        uint32_t type = note->root[i].type;
        if (!section.index || !section_kind_is_data(arena_section(section)->kind) ||
            note->type[type].bytes > arena_section(section)->bytes)
            continue;
        walk_add(walk, n, (uint16_t)type, arena_section(section)->virt);
    }
}

void walk_begin(struct walk *walk)
{
    memset(walk->slot, 0, sizeof walk->slot);
    walk->objects = walk->findings = 0;
    walk->steps = 0;
}

void walk_all(struct walk *walk)
{
    walk_begin(walk);
    for (uint16_t n = 0; n < walk->notes; n++)
        add_roots(walk, n);
    walk_run(walk);
}

void walk_run(struct walk *walk)
{
    for (uint16_t i = 0; i < walk->objects && walk->steps < STEPS_MAX; i++)
        check_object(walk, i);
}
