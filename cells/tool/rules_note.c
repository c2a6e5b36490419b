/* See rules.h: which types are needed, and the bytes of the note. */
#include "cells/tool/rules_internal.h"
#include <string.h>

static bool has_target(const struct rule *rule)
{
    return rule->note.what == RULE_POINTER || rule->note.what == RULE_LIST || rule->note.what == RULE_HOLDS ||
           rule->note.what == RULE_BACK || rule->note.what == RULE_ARRAY;
}

static bool is_useful(struct rules *rules, size_t i);

/* What is held without having a rule is left out. */
static bool is_kept(struct rules *rules, const struct rule *rule)
{
    return rule->note.what != RULE_HOLDS || is_useful(rules, rule->target);
}

/* Whether the node has a rule. No type holds itself. */
static bool is_useful(struct rules *rules, size_t i)
{
    struct ruled *node = &rules->node[i];

    if (!node->judged) {
        node->judged = true;
        for (size_t k = 0; k < node->rules; k++)
            node->useful |= is_kept(rules, &node->rule[k]);
    }
    return node->useful;
}

static bool want_targets(struct rules *rules, struct ruled *node)
{
    bool changed = false;

    for (size_t k = 0; node->wanted && k < node->rules; k++) {
        const struct rule *rule = &node->rule[k];
        if (has_target(rule) && is_kept(rules, rule) && !rules->node[rule->target].wanted)
            changed = rules->node[rule->target].wanted = true;
    }
    return changed;
}

static void choose_nodes(struct rules *rules)
{
    for (size_t i = 0; i < rules->nodes; i++)
        rules->node[i].wanted = is_useful(rules, i) && (rules->node[i].wanted || rules->node[i].section);
    for (bool changed = true; changed;) {
        changed = false;
        for (size_t i = 0; i < rules->nodes; i++)
            changed |= want_targets(rules, &rules->node[i]);
    }
}

/* A type gets a higher number than the types that it holds. */
static void number_node(struct rules *rules, size_t i)
{
    struct ruled *node = &rules->node[i];

    if (!node->wanted || node->numbered)
        return;
    node->numbered = true;
    for (size_t k = 0; k < node->rules; k++)
        if (node->rule[k].note.what == RULE_HOLDS)
            number_node(rules, node->rule[k].target);
    node->number = (uint32_t)rules->numbers;
    rules->order[rules->numbers++] = i;
}

/* ---- the note ---- */

static uint32_t find_name(const struct strings *names, const char *name)
{
    for (size_t at = 0; at < names->bytes; at += strlen(names->text + at) + 1)
        if (strcmp(names->text + at, name) == 0)
            return (uint32_t)at;
    return UINT32_MAX;
}

static uint32_t name_of(struct rules *rules, const char *name)
{
    if (!name || !*name)
        return 0;
    uint32_t at = find_name(&rules->names, name);
    return at == UINT32_MAX ? strings_add(&rules->names, name) : at;
}

static struct note_rules measure_note(struct rules *rules)
{
    struct note_rules head = {.types = (uint32_t)rules->numbers, .values = (uint32_t)rules->value_count};

    (void)strings_add(&rules->names, ""); /* at 0 */
    for (size_t i = 0; i < rules->numbers; i++) {
        struct ruled *node = &rules->node[rules->order[i]];
        head.roots += node->section != 0;
        for (size_t k = 0; k < node->rules; k++)
            if (is_kept(rules, &node->rule[k])) {
                head.rules++;
                node->rule[k].note.name = name_of(rules, node->rule[k].name);
            }
    }
    head.name_bytes = ((uint32_t)rules->names.bytes + 3) & ~3u;
    return head;
}

static uint32_t write_rules(struct rules *rules, const struct ruled *node, uint8_t *to)
{
    uint32_t count = 0;

    for (size_t k = 0; k < node->rules; k++) {
        const struct rule *rule = &node->rule[k];
        if (!is_kept(rules, rule))
            continue;
        struct note_rule out = rule->note;
        if (has_target(rule))
            out.target = (uint16_t)rules->node[rule->target].number;
        memcpy(to + count++ * sizeof out, &out, sizeof out);
    }
    return count;
}

static size_t note_bytes_of(const struct note_rules *head)
{
    return sizeof *head + head->types * sizeof(struct note_ruled) + head->rules * sizeof(struct note_rule) +
           head->values * sizeof(struct note_values) + head->roots * sizeof(struct note_root) + head->name_bytes;
}

/* The parts lie one behind the other, without regard to alignment. */
static void write_note(struct rules *rules, uint8_t *note, const struct note_rules *head)
{
    uint8_t *type = note + sizeof *head, *rule = type + head->types * sizeof(struct note_ruled);
    uint8_t *values = rule + head->rules * sizeof(struct note_rule);
    uint8_t *root = values + head->values * sizeof(struct note_values);
    uint32_t first = 0;

    memcpy(note, head, sizeof *head);
    if (head->values)
        memcpy(values, rules->values, head->values * sizeof(struct note_values));
    memcpy(root + head->roots * sizeof(struct note_root), rules->names.text, rules->names.bytes);
    for (size_t i = 0; i < rules->numbers; i++) {
        const struct ruled *node = &rules->node[rules->order[i]];
        const struct note_ruled out = {.tag = node->section ? 0 : node->tag,
                                       .bytes = node->bytes,
                                       .first = first,
                                       .rules = write_rules(rules, node, rule + first * sizeof(struct note_rule)),
                                       .own = node->tag && node->use == USE_OWN};
        const struct note_root begin = {node->section, (uint32_t)i};

        memcpy(type + i * sizeof out, &out, sizeof out);
        first += out.rules;
        if (node->section) {
            memcpy(root, &begin, sizeof begin);
            root += sizeof begin;
        }
    }
}

bool rules_note(struct rules *rules, void **ret_note, size_t *ret_bytes)
{
    *ret_note = NULL;
    *ret_bytes = 0;
    choose_nodes(rules);
    rules->order = calloc(rules->nodes + 1, sizeof *rules->order);
    if (!rules->order || rules->failed)
        return false;
    for (size_t i = 0; i < rules->nodes; i++)
        number_node(rules, i);
    if (!rules->numbers || rules->numbers > UINT16_MAX)
        return true;
    const struct note_rules head = measure_note(rules);
    uint8_t *note = rules->names.failed ? NULL : calloc(1, note_bytes_of(&head));
    if (!note)
        return false;
    write_note(rules, note, &head);
    *ret_note = note;
    *ret_bytes = note_bytes_of(&head);
    return true;
}
