/* The check cell on made-up types and data: damaged notes are refused; what is wrong in data is found, and no more. */
#include "cells/core/page/page.h"
#include "cells/recover/check/inside.h"
#include "tests/hosted/stand_in.h"
#include <check.h>
#include <stdlib.h>
#include <string.h>

Suite *suite_hosted_check(void);

/* struct node { struct node *next, *back; uint32_t used, room; uint64_t *list; bool on; enum red red; enum low low; };
 * static struct { struct node *first; struct node own[2]; struct away *away; const char *text; } table;
 * with enum red { RED = 1, BLUE = 3 }, enum low { LOW = -2, HIGH = 1 }, and struct away opaque. `next` is a list, with
 * `back` back; `used` is a length, and `list` an array of `room`. */
enum { NODE_BYTES = 40, TABLE_BYTES = 8 + 2 * NODE_BYTES + 16 };
enum { T_WORD, T_AWAY, T_NODE, T_TABLE, TYPES };

static const struct note {
    struct note_rules head;
    struct note_ruled type[TYPES];
    struct note_rule rule[11];
    struct note_values values[2];
    struct note_root root[1];
    char names[64];
} __attribute__((packed)) sound_note = {
    .head = {.types = TYPES, .rules = 11, .values = 2, .roots = 1, .name_bytes = 64},
    .type = {{.bytes = 8},
             {.tag = 77},
             {.tag = 5, .bytes = NODE_BYTES, .rules = 7, .own = 1},
             {.bytes = TABLE_BYTES, .first = 7, .rules = 4}},
    .rule = {{.offset = 0, .count = 1, .what = RULE_LIST, .target = T_NODE, .name = 1},
             {.offset = 0, .other = 8, .what = RULE_BACK, .target = T_NODE, .name = 1},
             {.offset = 16, .other = 20, .what = RULE_LENGTH, .bytes = 4, .target = 4, .name = 6},
             {.offset = 24, .other = 20, .what = RULE_ARRAY, .bytes = 4, .target = T_WORD, .name = 11},
             {.offset = 32, .count = 1, .what = RULE_BOOL, .name = 16},
             {.offset = 33, .count = 1, .what = RULE_VALUES, .bytes = 1, .target = 0, .name = 19},
             {.offset = 34, .count = 1, .what = RULE_VALUES, .bytes = 2, .target = 1, .name = 23},
             {.offset = 0, .count = 1, .what = RULE_POINTER, .target = T_NODE, .name = 27},
             {.offset = 8, .count = 2, .what = RULE_HOLDS, .target = T_NODE, .name = 33},
             {.offset = 88, .count = 1, .what = RULE_POINTER, .target = T_AWAY, .name = 37},
             {.offset = 96, .count = 1, .what = RULE_BYTES, .target = 1, .name = 42}},
    .values = {{.high = 3, .set = 1 | 2 | 8}, {.low = -2, .high = 1, .set = 1 | 4 | 8}},
    .root = {{.section = 1, .type = T_TABLE}},
    .names = "\0next\0used\0list\0on\0red\0low\0first\0own\0away\0text",
};

static bool sound(const struct note *note, size_t bytes)
{
    uint8_t *copy = malloc(bytes + 1);
    struct rules rules;

    ck_assert_ptr_nonnull(copy);
    memcpy(copy + 1, note, bytes); /* notes are not aligned, and nothing may be read behind them */
    bool is_sound = rules_open(copy + 1, bytes, &rules);
    free(copy);
    return is_sound;
}

#define WRONG(field_, value)                                                                                           \
    do {                                                                                                               \
        struct note wrong = sound_note;                                                                                \
        wrong.field_ = (value);                                                                                        \
        ck_assert_msg(!sound(&wrong, sizeof wrong), "%s = %s", #field_, #value);                                       \
    } while (0)

START_TEST(damaged_notes_are_refused)
{
    ck_assert(sound(&sound_note, sizeof sound_note));
    for (size_t bytes = 0; bytes < sizeof sound_note; bytes++)
        ck_assert(!sound(&sound_note, bytes));
    WRONG(head.types, 3);
    WRONG(head.types, 0x80000000);
    WRONG(head.rules, UINT32_MAX);
    WRONG(head.values, 1);
    WRONG(head.values, UINT32_MAX);
    WRONG(head.roots, 2);
    WRONG(head.name_bytes, 0);
    WRONG(names[63], 'x');
    WRONG(root[0].type, TYPES);
    WRONG(type[2].first, 1);
    WRONG(type[2].rules, 6);
    WRONG(type[3].rules, 5);
    WRONG(type[3].rules, UINT32_MAX);
    WRONG(type[2].bytes, 35);
    WRONG(type[2].bytes, 0);
}
END_TEST

START_TEST(damaged_rules_are_refused)
{
    WRONG(rule[0].what, 0);
    WRONG(rule[0].what, RULE_KINDS);
    WRONG(rule[0].what, RULE_HOLDS); /* it would hold itself */
    WRONG(rule[0].name, 64);
    WRONG(rule[0].target, TYPES);
    WRONG(rule[0].count, 0);
    WRONG(rule[0].count, UINT32_MAX);
    WRONG(rule[0].offset, 33);
    WRONG(rule[0].offset, UINT32_MAX);
    WRONG(rule[1].other, 33);
    WRONG(rule[2].bytes, 3);
    WRONG(rule[2].target, 5);
    WRONG(rule[2].other, 37);
    WRONG(rule[3].bytes, 0);
    WRONG(rule[3].other, UINT32_MAX);
    WRONG(rule[5].bytes, 16);
    WRONG(rule[5].target, 2);
    WRONG(rule[8].target, T_TABLE);
    WRONG(rule[8].count, 3);
    WRONG(rule[8].target, T_AWAY); /* nobody knows how large that is */
    WRONG(rule[10].target, 0);
}
END_TEST

/* ---- the walk ---- */

struct node {
    struct node *next, *back;
    uint32_t used, room;
    uint64_t *list;
    uint8_t on, red;
    int16_t low;
    uint32_t pad;
};
struct table {
    struct node *first, own[2];
    void *away;
    const char *text;
};
_Static_assert(sizeof(struct node) == NODE_BYTES && sizeof(struct table) == TABLE_BYTES);

static struct walk walk;
static struct check_finding found[4];
static struct mapped_pages *pages;
static struct table *table;
static struct node *nodes;

static void setup(void)
{
    stand_in_start();
    ck_assert_msg(stand_in_boot("build/delias.elf", "build/cells.archive"), "%s", stand_in.printed);
    pages = page_map(8192, PAGE_WRITE);
    table = page_start(pages);
    nodes = (struct node *)(table + 1);
    nodes[0] = (struct node){.next = &nodes[1], .red = 1, .low = -2};
    nodes[1] = (struct node){.next = &nodes[2], .back = &nodes[0], .red = 3, .low = 1, .on = 1};
    nodes[2] = (struct node){.back = &nodes[1], .used = 2, .room = 3, .list = (uint64_t *)&nodes[3]};
    *table = (struct table){.first = nodes, .away = &nodes[9], .text = (const char *)nodes};
}

static void teardown(void)
{
    mapped_pages_put(pages);
}

/* How many data are wrong. */
static size_t look(void)
{
    ck_assert(rules_open(&sound_note, sizeof sound_note, &walk.note[0]));
    walk.notes = 1;
    walk.finding = found;
    walk.max = array_size(found);
    walk_begin(&walk);
    walk_add(&walk, 0, T_TABLE, (uint64_t)table);
    walk_run(&walk);
    return walk.findings;
}

#define FINDS(field, value, path_)                                                                                     \
    do {                                                                                                               \
        __typeof__(field) was = (field);                                                                               \
        (field) = (__typeof__(field))(value);                                                                          \
        ck_assert_msg(look(), "%s = %s is not found", #field, #value);                                                 \
        ck_assert_str_eq(found[0].path, path_);                                                                        \
        ck_assert_uint_eq(found[0].address, (uintptr_t) & (field));                                                    \
        (field) = was;                                                                                                 \
        ck_assert_uint_eq(look(), 0);                                                                                  \
    } while (0)

START_TEST(wrong_data_are_found)
{
    ck_assert_uint_eq(look(), 0);
    FINDS(table->first, 1ul << 40 ^ (uint64_t)nodes, "first");
    FINDS(table->first, 1ul << 63 | (uint64_t)nodes, "first");
    FINDS(table->own[1].on, 2, "own[1].on");
    FINDS(table->own[0].red, 2, "own[0].red");
    FINDS(table->away, 1ul << 60, "away");
    FINDS(table->text, 8, "text");
    FINDS(nodes[0].on, 255, "first->on");
    FINDS(nodes[1].red, 4, "first->next->red");
    FINDS(nodes[1].low, -1, "first->next->low");
    FINDS(nodes[1].low, -3, "first->next->low");
    FINDS(nodes[2].used, 4, "first->next->next->used");
    FINDS(nodes[2].list, 0, "first->next->next->list");
    nodes[2].room = 1u << 31; /* too many for what the pointer refers to */
    ck_assert_uint_eq(look(), 1);
    ck_assert_str_eq(found[0].path, "first->next->next->list");
    nodes[2].room = 2;
    nodes[1].back = &nodes[7]; /* a right pointer, but not back */
    ck_assert_uint_gt(look(), 0);
    ck_assert_str_eq(found[0].path, "first->next");
}
END_TEST

START_TEST(what_is_right_is_not_found)
{
    table->first = NULL;
    table->away = NULL;
    table->text = NULL;
    ck_assert_uint_eq(look(), 0);
    table->first = &table->own[0];  /* within another */
    table->own[0].pad = 0xdeadbeef; /* no rule is about it */
    table->own[0].low = 1;
    ck_assert_uint_eq(look(), 0);
}
END_TEST

START_TEST(lists_have_an_end)
{
    nodes[2].next = &nodes[1];
    ck_assert_uint_gt(look(), 0);
    ck_assert_str_eq(found[0].path, "first->next->next->next");
    ck_assert_ptr_nonnull(strstr(found[0].what, "in a list twice"));
    nodes[2].next = nodes[2].back = &nodes[2];
    ck_assert_uint_gt(look(), 0);
}
END_TEST

/* A list that is longer than there is room for ends the walk, and nothing else. */
START_TEST(long_walks_end)
{
    struct mapped_pages *more = page_map((OBJECTS_MAX + 100) * sizeof(struct node), PAGE_WRITE);
    struct node *list = page_start(more);

    for (unsigned i = 0; i < OBJECTS_MAX + 99; i++) {
        list[i].next = &list[i + 1];
        list[i + 1].back = &list[i];
    }
    table->first = list;
    ck_assert_uint_eq(look(), 0);
    ck_assert_uint_eq(walk.objects, OBJECTS_MAX);
    mapped_pages_put(more);
}
END_TEST

Suite *suite_hosted_check(void)
{
    Suite *s = suite_create("hosted check");
    TCase *notes = tcase_create("notes"), *walks = tcase_create("walks");

    tcase_add_test(notes, damaged_notes_are_refused);
    tcase_add_test(notes, damaged_rules_are_refused);
    tcase_add_checked_fixture(walks, setup, teardown);
    tcase_add_test(walks, wrong_data_are_found);
    tcase_add_test(walks, what_is_right_is_not_found);
    tcase_add_test(walks, lists_have_an_end);
    tcase_add_test(walks, long_walks_end);
    suite_add_tcase(s, notes);
    suite_add_tcase(s, walks);
    return s;
}
