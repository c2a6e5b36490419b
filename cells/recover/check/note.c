/* Reads and checks an object's note on what data must be. Invariant: after rules_open every index, offset and name in
 * the note is in range, and no type contains itself. Reads unaligned bytes only. */
#include "cells/recover/check/inside.h"
#include "cells/core/page/page.h"
#include "cells/lib/string/string.h"
#include "guest/abi/elf.h"

static bool is_number(uint32_t bytes)
{
    return bytes == 1 || bytes == 2 || bytes == 4 || bytes == 8;
}

bool rule_is_of_two(const any_rule *rule)
{
    return rule->what == RULE_BACK || rule->what == RULE_ARRAY || rule->what == RULE_LENGTH;
}

uint32_t rule_bytes(const struct rules *rules, const any_rule *rule)
{
    switch (rule->what) {
    case RULE_BOOL:
        return 1;
    case RULE_VALUES:
    case RULE_LENGTH:
        return rule->bytes;
    case RULE_HOLDS:
        return rules->type[rule->target].bytes;
    default:
        return 8;
    }
}

static bool fits(uint64_t offset, uint64_t bytes, uint32_t room)
{
    return offset <= room && bytes <= room - offset;
}

static bool is_other_sound(const struct rules *rules, const any_rule *rule, uint32_t bytes)
{
    switch (rule->what) {
    case RULE_BACK:
        return fits(rule->other, 8, rules->type[rule->target].bytes);
    case RULE_ARRAY:
        return is_number(rule->bytes) && fits(rule->other, rule->bytes, bytes);
    default:
        return is_number(rule->bytes) && is_number(rule->target) && fits(rule->other, rule->target, bytes);
    }
}

/* Of type `index`. */
static bool is_rule_sound(const struct rules *rules, const any_rule *rule, uint32_t index)
{
    uint32_t bytes = rules->type[index].bytes, limit = UINT16_MAX + 1;

    if (!rule->what || rule->what >= RULE_KINDS || rule->name >= rules->head->name_bytes)
        return false;
    if (rule->what == RULE_HOLDS)
        limit = index;
    else if (rule->what == RULE_VALUES)
        limit = is_number(rule->bytes) ? rules->head->values : 0;
    else if (rule->what == RULE_POINTER || rule->what == RULE_LIST || rule->what == RULE_BACK ||
             rule->what == RULE_ARRAY)
        limit = rules->head->types;
    if (rule->target >= limit || (rule->what == RULE_BYTES && !rule->target))
        return false;
    uint64_t each = rule_bytes(rules, rule), count = rule_is_of_two(rule) ? 1 : rule->count;
    return each && count && fits(rule->offset, each * count, bytes) &&
           (!rule_is_of_two(rule) || is_other_sound(rules, rule, bytes));
}

static bool are_types_sound(const struct rules *rules)
{
    uint32_t at = 0;

    for (uint32_t i = 0; i < rules->head->types; i++) {
        if (rules->type[i].first != at || rules->type[i].rules > rules->head->rules - at)
            return false;
        for (uint32_t end = at + rules->type[i].rules; at < end; at++)
            if (!is_rule_sound(rules, &rules->rule[at], i))
                return false;
    }
    return at == rules->head->rules;
}

bool rules_open(const void *note, size_t bytes, struct rules *ret_rules)
{
    const any_rules *head = note;
    struct rules rules = {.head = head};

    if (bytes < sizeof *head || head->types > UINT16_MAX)
        return false;
    size_t parts = sizeof *head + (size_t)head->types * sizeof *rules.type + (size_t)head->rules * sizeof *rules.rule +
                   (size_t)head->values * sizeof *rules.values + (size_t)head->roots * sizeof *rules.root;
    if (!head->name_bytes || parts > bytes || head->name_bytes != bytes - parts || ((const char *)note)[bytes - 1])
        return false;
    rules.type = (const any_ruled *)(head + 1);
    rules.rule = (const any_rule *)(rules.type + head->types);
    rules.values = (const any_values *)(rules.rule + head->rules);
    rules.root = (const any_root *)(rules.values + head->values);
    rules.names = (const char *)(rules.root + head->roots);
    for (uint32_t i = 0; i < head->roots; i++)
        if (rules.root[i].type >= head->types)
            return false;
    if (!are_types_sound(&rules))
        return false;
    *ret_rules = rules;
    return true;
}

/* ---- where it is ---- */

/* Finds the note among those of a section. */
static bool find_in_section(const uint8_t *at, uint64_t bytes, struct rules *ret_rules)
{
    struct elf_note note;

    while (bytes >= sizeof note) {
        memcpy(&note, at, sizeof note);
        uint64_t name = ((uint64_t)note.name_bytes + 3) & ~3ull, data = ((uint64_t)note.bytes + 3) & ~3ull;
        at += sizeof note;
        bytes -= sizeof note;
        if (name > bytes || data > bytes - name)
            return false;
        if (note.type == NOTE_RULES && note.name_bytes == sizeof NOTE_OWNER &&
            !memcmp(at, NOTE_OWNER, sizeof NOTE_OWNER))
            return rules_open(at + name, note.bytes, ret_rules);
        at += name + data;
        bytes -= name + data;
    }
    return false;
}

bool rules_of_cell(struct cell_ref cell, struct rules *ret_rules)
{
    const struct arena_cell *c = arena_cell(cell);
    struct elf_header header;
    struct elf_section section;

    if (c->state != CELL_LIVE || !c->object.index)
        return false;
    const struct arena_object *object = arena_object(c->object);
    const uint8_t *data = pointer_bytes((uint64_t)page_direct(object->phys), object->bytes);
    if (!data || object->bytes < sizeof header)
        return false;
    memcpy(&header, data, sizeof header);
    for (uint16_t i = 0; i < header.sections; i++) {
        uint64_t at = header.section_offset + i * sizeof section;
        if (at > object->bytes || sizeof section > object->bytes - at)
            return false;
        memcpy(&section, data + at, sizeof section);
        if (section.type != ELF_NOTE || section.offset > object->bytes || section.size > object->bytes - section.offset)
            continue;
        if (find_in_section(data + section.offset, section.size, ret_rules)) {
            ret_rules->cell = cell;
            return true;
        }
    }
    return false;
}
