/* The arena cell: records, check words, strings, edges, symbols, generation, events. */
#include "cells/kernel/arena/arena.h"
#include "tests/hosted/stand_in.h"
#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

Suite *suite_hosted_arena(void);

static uint32_t new_section(uint32_t cell, uint64_t virt, uint32_t bytes, const char *name)
{
    uint32_t i = arena_new_named(ARENA_SECTIONS, name);

    arena_section(i)->virt = virt;
    arena_section(i)->bytes = bytes;
    arena_section(i)->cell = cell;
    arena_section(i)->next_in_cell = arena_cell(cell)->first_section;
    arena_cell(cell)->first_section = i;
    arena_seal(ARENA_SECTIONS, i);
    return i;
}

static uint32_t new_cell(const char *name, uint64_t virt, uint32_t bytes)
{
    uint32_t i = arena_new_named(ARENA_CELLS, name);

    arena_cell(i)->namespace_ = 1;
    arena_cell(i)->text_virt = virt;
    arena_cell(i)->text_bytes = bytes;
    arena_cell(i)->state = CELL_LIVE;
    arena_seal(ARENA_CELLS, i);
    return i;
}

static uint32_t new_symbol(uint32_t namespace_, const char *name)
{
    uint32_t i = arena_new_named(ARENA_SYMBOLS, name);

    arena_symbol(i)->namespace_ = namespace_;
    arena_seal(ARENA_SYMBOLS, i);
    return i;
}

START_TEST(records_are_reused_and_run_out)
{
    GUARD(arena) held = arena_change();
    uint32_t index[ARENA_OBJECTS_MAX];

    for (unsigned i = 0; i < ARENA_OBJECTS_MAX - 1; i++)
        ck_assert_uint_eq(index[i] = arena_new(ARENA_OBJECTS), i + 1);
    ck_assert_uint_eq(arena_new(ARENA_OBJECTS), 0);
    arena_object(index[7])->bytes = 99;
    arena_free(ARENA_OBJECTS, index[7]);
    arena_free(ARENA_OBJECTS, index[3]);
    ck_assert_uint_eq(arena_new(ARENA_OBJECTS), index[3]);
    ck_assert_uint_eq(arena_new(ARENA_OBJECTS), index[7]);
    ck_assert_uint_eq(arena_object(index[7])->bytes, 0);
    ck_assert_uint_eq(arena_new(ARENA_OBJECTS), 0);
}
END_TEST

START_TEST(damaged_free_list_is_not_followed)
{
    GUARD(arena) held = arena_change();
    uint32_t a = arena_new(ARENA_OBJECTS);

    arena_free(ARENA_OBJECTS, a);
    arena_header()->table[ARENA_OBJECTS].free_head = 0x7fffffff;
    ck_assert_uint_eq(arena_new(ARENA_OBJECTS), a + 1);
}
END_TEST

START_TEST(check_word_finds_each_flipped_bit)
{
    GUARD(arena) held = arena_change();
    uint32_t cell = new_cell("channel", 0x1000, 0x100);
    uint8_t *bytes = (uint8_t *)arena_cell(cell);

    ck_assert(arena_sound(ARENA_CELLS, cell));
    for (unsigned bit = 0; bit < ARENA_STABLE_CELL * 8; bit++) {
        bytes[bit / 8] ^= (uint8_t)(1u << bit % 8);
        ck_assert(!arena_sound(ARENA_CELLS, cell));
        bytes[bit / 8] ^= (uint8_t)(1u << bit % 8);
    }
    arena_cell(cell)->faults++;
    ck_assert(arena_sound(ARENA_CELLS, cell));
}
END_TEST

static uint64_t strings(void)
{
    return arena_header()->counter[COUNTER_strings];
}

START_TEST(names_are_interned)
{
    GUARD(arena) held = arena_change();
    uint32_t a = new_symbol(1, "channel_send"), b = new_symbol(1, "channel_receive"), c = new_symbol(2, "channel_send");

    ck_assert_uint_ne(arena_symbol(a)->name, arena_symbol(b)->name);
    ck_assert_uint_eq(arena_symbol(a)->name, arena_symbol(c)->name);
    ck_assert_str_eq(arena_string(arena_symbol(b)->name), "channel_receive");
    ck_assert_uint_eq(strings(), 2);
    arena_free(ARENA_SYMBOLS, a);
    ck_assert_str_eq(arena_string(arena_symbol(c)->name), "channel_send");
    arena_free(ARENA_SYMBOLS, c);
    arena_free(ARENA_SYMBOLS, b);
    ck_assert_uint_eq(strings(), 0);
    ck_assert_uint_eq(arena_new_named(ARENA_SYMBOLS, ""), 0);
    ck_assert_str_eq(arena_string(0), "");
    ck_assert_str_eq(arena_string(UINT32_MAX), "");
}
END_TEST

/* The number tells the length, so that what is there can be told from what should be. */
static const char *name_of(unsigned number)
{
    static char name[128];

    snprintf(name, sizeof name, "%u_%.*s", number, (int)(number * 7 % 110),
             "wwwwwwwwwwwwwwwwwwwwwwwwwwwwwwwwwwwwwwwwwwwwwwwwwwwww"
             "wwwwwwwwwwwwwwwwwwwwwwwwwwwwwwwwwwwwwwwwwwwwwwwwwwwwwwwwwwwwwwww");
    return name;
}

/* Records come and go in a full table for long; each keeps its own name, and the room of others is used again. */
START_TEST(names_come_and_go)
{
    enum { RECORDS = ARENA_SYMBOLS_MAX + ARENA_SECTIONS_MAX };
    static unsigned number[RECORDS];
    GUARD(arena) held = arena_change();
    unsigned next = 1, refused = 0;

    srand(7);
    for (int step = 0; step < 12000; step++) {
        enum arena_table table = rand() % 2 ? ARENA_SYMBOLS : ARENA_SECTIONS;
        uint32_t i = arena_new_named(table, name_of(next));
        refused += !i;
        if (i)
            number[i + (table == ARENA_SYMBOLS ? ARENA_SECTIONS_MAX : 0)] = next++;
        for (int freed = 0; !i && freed < 20; freed++) { /* full: let some go, wherever they lie */
            uint32_t k = (uint32_t)rand() % RECORDS;
            bool symbol = k >= ARENA_SECTIONS_MAX;
            uint32_t record = k - (symbol ? ARENA_SECTIONS_MAX : 0);
            if (!number[k])
                continue;
            uint32_t name = symbol ? arena_symbol(record)->name : arena_section(record)->name;
            ck_assert_str_eq(arena_string(name), name_of(number[k]));
            arena_free(symbol ? ARENA_SYMBOLS : ARENA_SECTIONS, record);
            number[k] = 0;
        }
    }
    ck_assert_uint_gt(refused, 100);
    ck_assert_uint_gt(next, 9000); /* far more than find room at once */
    ck_assert_uint_le(arena_header()->table[ARENA_STRINGS].used, ARENA_STRINGS_BYTES);
    for (uint32_t k = 0; k < RECORDS; k++)
        if (number[k])
            arena_free(k >= ARENA_SECTIONS_MAX ? ARENA_SYMBOLS : ARENA_SECTIONS,
                       k - (k >= ARENA_SECTIONS_MAX ? ARENA_SECTIONS_MAX : 0));
    ck_assert_uint_eq(strings(), 0);
    for (uint32_t i = 0; i < ARENA_STRINGS_BYTES; i++)
        ck_assert_int_eq(arena_string(0)[i], 0);
}
END_TEST

START_TEST(generation_is_odd_within_a_change)
{
    uint64_t before = arena_header()->generation;

    ck_assert_uint_eq(before % 2, 0);
    {
        GUARD(arena) outer = arena_change();
        ck_assert_uint_eq(arena_header()->generation, before + 1);
        {
            GUARD(arena) inner = arena_change();
            ck_assert_uint_eq(arena_header()->generation, before + 1);
        }
        ck_assert_uint_eq(arena_header()->generation, before + 1);
    }
    ck_assert_uint_eq(arena_header()->generation, before + 2);
}
END_TEST

START_TEST(edges_stand_in_both_lists)
{
    GUARD(arena) held = arena_change();
    uint32_t cell = new_cell("c", 0x1000, 0x100), edge[5];
    uint32_t from = new_section(cell, 0x1000, 16, ".text.f"), to = new_section(cell, 0x1010, 16, ".text.g");

    for (int i = 0; i < 5; i++) {
        edge[i] = arena_new(ARENA_EDGES);
        arena_edge(edge[i])->from = from;
        arena_edge(edge[i])->to = i == 4 ? from : to;
        arena_edge_link(edge[i]);
    }
    ck_assert_uint_eq(arena_section(from)->outgoing, 5);
    ck_assert_uint_eq(arena_section(to)->incoming, 4);
    ck_assert_uint_eq(arena_section(from)->incoming, 1);
    static const int order[] = {2, 0, 4, 3, 1}; /* middle, last, the one to itself, first, only */
    for (int i = 0; i < 5; i++)
        arena_edge_unlink(edge[order[i]]);
    ck_assert_uint_eq(arena_section(from)->outgoing, 0);
    ck_assert_uint_eq(arena_section(from)->first_out, 0);
    ck_assert_uint_eq(arena_section(to)->first_in, 0);
    ck_assert_uint_eq(arena_section(from)->first_in, 0);
}
END_TEST

START_TEST(symbols_are_found_through_parents)
{
    GUARD(arena) held = arena_change();
    uint32_t root = arena_new(ARENA_NAMESPACES), child = arena_new(ARENA_NAMESPACES);

    arena_namespace(child)->parent = root;
    arena_namespace(root)->parent = child; /* a damaged chain ends too */
    uint32_t a = new_symbol(root, "a"), a2 = new_symbol(child, "a"), b = new_symbol(root, "b");
    arena_symbol_publish(a);
    arena_symbol_publish(b);
    ck_assert_uint_eq(arena_symbol_find(child, "a"), a);
    arena_symbol_publish(a2);
    ck_assert_uint_eq(arena_symbol_find(child, "a"), a2);
    ck_assert_uint_eq(arena_symbol_find(root, "a"), a);
    ck_assert_uint_eq(arena_symbol_find(child, "b"), b);
    arena_symbol_retract(a2);
    arena_symbol_retract(a2);
    ck_assert_uint_eq(arena_symbol_find(child, "a"), a);
    ck_assert_uint_eq(arena_symbol_find(root, "never"), 0);
    ck_assert_uint_eq(arena_symbol_find(9999, "a"), 0);
}
END_TEST

START_TEST(addresses_lead_to_names)
{
    GUARD(arena) held = arena_change();
    uint32_t cell = new_cell("c", 0x1000, 0x40), section = new_section(cell, 0x1010, 0x20, ".text.f");
    uint32_t symbol = new_symbol(1, "f");
    char name[8];

    arena_symbol(symbol)->section = section;
    arena_symbol(symbol)->bytes = 0x10;
    arena_cell(cell)->first_symbol = symbol;
    ck_assert_uint_eq(arena_cell_at(0x1000), cell);
    ck_assert_uint_eq(arena_cell_at(0xfff), 0);
    ck_assert_uint_eq(arena_cell_at(0x1040), 0);
    ck_assert_uint_eq(arena_section_at(0x1010), section);
    ck_assert_uint_eq(arena_section_at(0x1030), 0);
    arena_name_at(0x101f, name, sizeof name);
    ck_assert_str_eq(name, "f");
    arena_name_at(0x1020, name, sizeof name);
    ck_assert_str_eq(name, ".text.f");
    arena_name_at(0x9999, name, sizeof name);
    ck_assert_str_eq(name, "");
    arena_section(section)->next_in_cell = section; /* a damaged list ends too */
    ck_assert_uint_eq(arena_section_at(0x1035), 0);
}
END_TEST

START_TEST(events_and_counters)
{
    for (unsigned i = 1; i <= ARENA_EVENTS_MAX + 5; i++)
        arena_event(EVENT_LOG, i, 0, i % 2 ? "odd" : NULL);
    const struct arena_event *e = arena_record(ARENA_EVENTS, (ARENA_EVENTS_MAX + 5) % (ARENA_EVENTS_MAX - 1) + 1);
    ck_assert_uint_eq(arena_header()->event_seq, ARENA_EVENTS_MAX + 5);
    ck_assert_uint_eq(e->seq, ARENA_EVENTS_MAX + 5);
    ck_assert_uint_eq(e->a, ARENA_EVENTS_MAX + 5);
    arena_count(COUNTER_rounds, 3);
    arena_count(COUNTER_rounds, -1);
    arena_count((enum arena_counter)COUNTERS, 1);
    ck_assert_uint_eq(arena_header()->counter[COUNTER_rounds], 2);
}
END_TEST

Suite *suite_hosted_arena(void)
{
    Suite *s = suite_create("hosted arena");
    TCase *t = tcase_create("arena");

    tcase_add_checked_fixture(t, stand_in_start, NULL);
    tcase_add_test(t, records_are_reused_and_run_out);
    tcase_add_test(t, damaged_free_list_is_not_followed);
    tcase_add_test(t, check_word_finds_each_flipped_bit);
    tcase_set_timeout(t, 60);
    tcase_add_test(t, names_are_interned);
    tcase_add_test(t, names_come_and_go);
    tcase_add_test(t, generation_is_odd_within_a_change);
    tcase_add_test(t, edges_stand_in_both_lists);
    tcase_add_test(t, symbols_are_found_through_parents);
    tcase_add_test(t, addresses_lead_to_names);
    tcase_add_test(t, events_and_counters);
    suite_add_tcase(s, t);
    return s;
}
