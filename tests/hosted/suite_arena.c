/* The arena cell: records, check words, strings, edges, symbols, generation, events. */
#include "cells/core/arena/arena.h"
#include "cells/core/arena/inside.h"
#include "guest/abi/layout.h"
#include "tests/hosted/stand_in.h"
#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

Suite *suite_hosted_arena(void);

#define AT(offset) (LAYOUT_CELL_VIRT + (uint64_t)(offset))

/* A test is the only one who writes. */
static void is_writer(void) HOLDS(arena_writer)
{
}

static struct section_ref new_section(struct cell_ref cell, uint64_t virt, uint32_t bytes, const char *name)
{
    is_writer();
    struct section_ref i = {arena_new_named(ARENA_SECTIONS, name)};

    arena_section(i)->virt = virt;
    arena_section(i)->bytes = bytes;
    arena_section(i)->cell = cell;
    arena_section(i)->next_in_cell = arena_cell(cell)->first_section;
    arena_cell(cell)->first_section = i;
    arena_seal(i);
    return i;
}

static struct cell_ref new_cell(const char *name, uint64_t virt, uint32_t bytes)
{
    is_writer();
    struct cell_ref i = {arena_new_named(ARENA_CELLS, name)};

    arena_cell(i)->namespace_ = NAMESPACE_ROOT;
    arena_cell(i)->text_virt = virt;
    arena_cell(i)->text_bytes = bytes;
    arena_cell(i)->state = CELL_LIVE;
    arena_seal(i);
    return i;
}

static struct symbol_ref new_symbol(struct namespace_ref namespace_, const char *name)
{
    is_writer();
    struct symbol_ref i = {arena_new_named(ARENA_SYMBOLS, name)};

    arena_symbol(i)->namespace_ = namespace_;
    arena_seal(i);
    return i;
}

START_TEST(records_are_reused_and_run_out)
{
    GUARD(arena) held = arena_change();
    struct object_ref object[ARENA_OBJECTS_BASE];

    for (unsigned i = 0; i < STAND_IN_ORDINARY(ARENA_OBJECTS_BASE); i++)
        ck_assert_uint_eq(object[i].index = arena_new(ARENA_OBJECTS), i + 1);
    ck_assert_uint_eq(arena_new(ARENA_OBJECTS), 0);
    arena_object(object[7])->bytes = 99;
    arena_free(object[7]);
    arena_free(object[3]);
    ck_assert_uint_eq(arena_new(ARENA_OBJECTS), object[3].index);
    ck_assert_uint_eq(arena_new(ARENA_OBJECTS), object[7].index);
    ck_assert_uint_eq(arena_object(object[7])->bytes, 0);
    ck_assert_uint_eq(arena_new(ARENA_OBJECTS), 0);
}
END_TEST

START_TEST(damaged_free_list_is_not_followed)
{
    GUARD(arena) held = arena_change();
    struct object_ref a = {arena_new(ARENA_OBJECTS)};

    arena_free(a);
    arena_header()->table[ARENA_OBJECTS].free_head = 0x7fffffff;
    ck_assert_uint_eq(arena_new(ARENA_OBJECTS), a.index + 1);
    arena_header()->table[ARENA_OBJECTS].free_head = ARENA_OBJECTS_BASE; /* the first that is none */
    ck_assert_uint_eq(arena_new(ARENA_OBJECTS), a.index + 2);
}
END_TEST

/* A record that somebody has is never given out, whether the head of the list or a link in it was hit. */
START_TEST(records_in_use_are_not_given_out)
{
    GUARD(arena) held = arena_change();
    struct object_ref used = {arena_new_named(ARENA_OBJECTS, "used")}, free_[3];

    arena_seal(used);
    for (size_t i = 0; i < array_size(free_); i++)
        free_[i].index = arena_new(ARENA_OBJECTS);
    for (size_t i = 0; i < array_size(free_); i++)
        arena_free(free_[i]);
    arena_header()->table[ARENA_OBJECTS].free_head = used.index;
    ck_assert_uint_eq(arena_new(ARENA_OBJECTS), free_[2].index + 1);
    ck_assert_str_eq(arena_string(arena_object(used)->name), "used");
    arena_header()->table[ARENA_OBJECTS].free_head = free_[2].index;
    ((uint32_t *)arena_object(free_[2]))[1] = used.index;
    ck_assert_uint_eq(arena_new(ARENA_OBJECTS), free_[2].index);
    ck_assert_uint_eq(arena_new(ARENA_OBJECTS), free_[2].index + 2);
    ck_assert(arena_sound(used));
}
END_TEST

START_TEST(check_word_finds_each_flipped_bit)
{
    GUARD(arena) held = arena_change();
    struct cell_ref cell = new_cell("channel", AT(0x00), 0x100);
    uint8_t *bytes = (uint8_t *)arena_cell(cell);

    ck_assert(arena_sound(cell));
    for (unsigned bit = 0; bit < ARENA_STABLE_CELL * 8; bit++) {
        bytes[bit / 8] ^= (uint8_t)(1u << bit % 8);
        ck_assert(!arena_sound(cell));
        bytes[bit / 8] ^= (uint8_t)(1u << bit % 8);
    }
    arena_cell(cell)->faults++;
    ck_assert(arena_sound(cell));
}
END_TEST

static uint64_t strings(void)
{
    return arena_header()->counter[COUNTER_strings];
}

START_TEST(names_are_interned)
{
    GUARD(arena) held = arena_change();
    struct symbol_ref a = new_symbol(NAMESPACE_ROOT, "channel_send"), b = new_symbol(NAMESPACE_ROOT, "channel_receive"),
                      c = new_symbol((struct namespace_ref){2}, "channel_send");

    ck_assert_uint_ne(arena_symbol(a)->name, arena_symbol(b)->name);
    ck_assert_uint_eq(arena_symbol(a)->name, arena_symbol(c)->name);
    ck_assert_str_eq(arena_string(arena_symbol(b)->name), "channel_receive");
    ck_assert_uint_eq(strings(), 2);
    arena_free(a);
    ck_assert_str_eq(arena_string(arena_symbol(c)->name), "channel_send");
    arena_free(c);
    arena_free(b);
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

/* Records are made and freed in a full table for long; each keeps its own name, and the room of others is reused. */
START_TEST(names_come_and_go)
{
    enum { RECORDS = ARENA_SYMBOLS_BASE + ARENA_SECTIONS_BASE };
    static unsigned number[RECORDS];
    GUARD(arena) held = arena_change();
    unsigned next = 1, refused = 0;

    srand(7);
    for (int step = 0; step < 12000; step++) {
        enum arena_table table = rand() % 2 ? ARENA_SYMBOLS : ARENA_SECTIONS;
        uint32_t i = arena_new_named(table, name_of(next));
        refused += !i;
        if (i)
            number[i + (table == ARENA_SYMBOLS ? ARENA_SECTIONS_BASE : 0)] = next++;
        for (int freed = 0; !i && freed < 20; freed++) { /* full: let some go, wherever they lie */
            uint32_t k = (uint32_t)rand() % RECORDS;
            bool symbol = k >= ARENA_SECTIONS_BASE;
            uint32_t record = k - (symbol ? ARENA_SECTIONS_BASE : 0);
            if (!number[k])
                continue;
            uint32_t name = symbol ? arena_symbol((struct symbol_ref){record})->name
                                   : arena_section((struct section_ref){record})->name;
            ck_assert_str_eq(arena_string(name), name_of(number[k]));
            arena_record_free(symbol ? ARENA_SYMBOLS : ARENA_SECTIONS, record);
            number[k] = 0;
        }
    }
    ck_assert_uint_gt(refused, 100);
    ck_assert_uint_gt(next, 9000); /* far more than find room at once */
    ck_assert_uint_le(arena_header()->table[ARENA_STRINGS].used, ARENA_STRINGS_BASE);
    for (uint32_t k = 0; k < RECORDS; k++)
        if (number[k])
            arena_record_free(k >= ARENA_SECTIONS_BASE ? ARENA_SYMBOLS : ARENA_SECTIONS,
                              k - (k >= ARENA_SECTIONS_BASE ? ARENA_SECTIONS_BASE : 0));
    ck_assert_uint_eq(strings(), 0);
    for (uint32_t i = 0; i < ARENA_STRINGS_BASE; i++)
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
    struct cell_ref cell = new_cell("c", AT(0x00), 0x100);
    struct edge_ref edge[5];
    struct section_ref from = new_section(cell, AT(0x00), 16, ".text.f"),
                       to = new_section(cell, AT(0x10), 16, ".text.g");

    for (int i = 0; i < 5; i++) {
        edge[i].index = arena_new(ARENA_EDGES);
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
    ck_assert(!arena_section(from)->first_out.index);
    ck_assert(!arena_section(to)->first_in.index);
    ck_assert(!arena_section(from)->first_in.index);
}
END_TEST

START_TEST(symbols_are_found_through_parents)
{
    GUARD(arena) held = arena_change();
    struct namespace_ref root = {arena_new(ARENA_NAMESPACES)}, child = {arena_new(ARENA_NAMESPACES)};

    arena_namespace(child)->parent = root;
    arena_namespace(root)->parent = child; /* a damaged chain ends too */
    struct symbol_ref a = new_symbol(root, "a"), a2 = new_symbol(child, "a"), b = new_symbol(root, "b");
    arena_symbol_publish(a);
    arena_symbol_publish(b);
    ck_assert(same(arena_symbol_find(child, "a"), a));
    arena_symbol_publish(a2);
    ck_assert(same(arena_symbol_find(child, "a"), a2));
    ck_assert(same(arena_symbol_find(root, "a"), a));
    ck_assert(same(arena_symbol_find(child, "b"), b));
    arena_symbol_retract(a2);
    arena_symbol_retract(a2);
    ck_assert(same(arena_symbol_find(child, "a"), a));
    ck_assert(!arena_symbol_find(root, "never").index);
    ck_assert(!arena_symbol_find((struct namespace_ref){9999}, "a").index);
}
END_TEST

START_TEST(addresses_lead_to_names)
{
    GUARD(arena) held = arena_change();
    struct cell_ref cell = new_cell("c", AT(0x00), 0x40);
    struct section_ref section = new_section(cell, AT(0x10), 0x20, ".text.f");
    struct symbol_ref symbol = new_symbol(NAMESPACE_ROOT, "f");
    char name[8];

    arena_symbol(symbol)->section = section;
    arena_symbol(symbol)->bytes = 0x10;
    arena_cell(cell)->first_symbol = symbol;
    ck_assert(same(arena_cell_at(AT(0x00)), cell));
    ck_assert(!arena_cell_at(AT(0) - 1).index);
    ck_assert(!arena_cell_at(AT(0x40)).index);
    ck_assert(same(arena_section_at(AT(0x10)), section));
    ck_assert(!arena_section_at(AT(0x30)).index);
    arena_name_at(AT(0x1f), name, sizeof name);
    ck_assert_str_eq(name, "f");
    arena_name_at(AT(0x20), name, sizeof name);
    ck_assert_str_eq(name, ".text.f");
    arena_name_at(0x9999, name, sizeof name);
    ck_assert_str_eq(name, "");
    arena_section(section)->next_in_cell = section; /* a damaged list ends too */
    ck_assert(!arena_section_at(AT(0x35)).index);
}
END_TEST

/* ---- indexes ---- */

enum { MANY = STAND_IN_ORDINARY(ARENA_CELLS_BASE), CELL_BYTES = 0x4000 };

/* Cells of several pages with sections that share pages, cross them, and lie beside nothing. */
static void make_many(struct cell_ref cell[MANY], struct section_ref section[MANY][4])
{
    static const uint32_t start[] = {0x10, 0x100, 0x1ff0, 0x3000}, bytes[] = {0x20, 0x1e00, 0x20, 0x100};
    char name[32];

    is_writer();
    for (uint32_t i = 0; i < MANY; i++) {
        snprintf(name, sizeof name, "cell%u", i);
        cell[i] = new_cell(name, AT(i * CELL_BYTES), CELL_BYTES - 0x1000);
        arena_cell(cell[i])->text_bytes = CELL_BYTES - 0xf00;
        arena_seal(cell[i]);
        for (int k = 0; k < 4; k++)
            section[i][k] = new_section(cell[i], AT(i * CELL_BYTES + start[k]), bytes[k], ".text");
    }
}

static void expect_many(const struct cell_ref cell[MANY], struct section_ref section[MANY][4])
{
    char name[32];

    for (uint32_t i = 0; i < MANY; i++) {
        uint64_t at = AT(i * CELL_BYTES);
        snprintf(name, sizeof name, "cell%u", i);
        ck_assert(same(arena_cell_find(NAMESPACE_ROOT, name), cell[i]));
        ck_assert(!arena_cell_find((struct namespace_ref){2}, name).index);
        ck_assert(same(arena_cell_at(at), cell[i]));
        ck_assert(same(arena_cell_at(at + CELL_BYTES - 0xf01), cell[i]));
        ck_assert(!arena_cell_at(at + CELL_BYTES - 0xf00).index);
        ck_assert(!arena_section_at(at).index);
        ck_assert(same(arena_section_at(at + 0x10), section[i][0]));
        ck_assert(same(arena_section_at(at + 0x100), section[i][1]));
        ck_assert(same(arena_section_at(at + 0x1eff), section[i][1]));
        ck_assert(same(arena_section_at(at + 0x2000), section[i][2]));
        ck_assert(!arena_section_at(at + 0x2010).index);
        ck_assert(same(arena_section_at(at + 0x30ff), section[i][3]));
    }
}

static uint64_t visits(void)
{
    return arena_header()->counter[COUNTER_visits];
}

START_TEST(lookups_do_not_walk_tables)
{
    static struct section_ref section[MANY][4];
    static struct cell_ref cell[MANY];
    struct symbol_ref k;

    {
        GUARD(arena) held = arena_change();
        ck_assert_uint_eq(arena_new(ARENA_NAMESPACES), 1);
        make_many(cell, section);
        k = new_symbol(NAMESPACE_ROOT, "a_symbol");
        arena_symbol_publish(k);
    }
    expect_many(cell, section);
    uint64_t before = visits();
    ck_assert(same(arena_cell_find(NAMESPACE_ROOT, "cell200"), cell[200]));
    ck_assert(!arena_cell_find(NAMESPACE_ROOT, "none").index);
    ck_assert(same(arena_symbol_find(NAMESPACE_ROOT, "a_symbol"), k));
    ck_assert(!arena_symbol_find(NAMESPACE_ROOT, "none").index);
    ck_assert(same(arena_section_at(AT(200 * CELL_BYTES + 0x3000)), section[200][3]));
    ck_assert(same(arena_cell_at(AT(200 * CELL_BYTES)), cell[200]));
    ck_assert(!arena_cell_at(0x1234).index);
    ck_assert_uint_lt(visits() - before, 80); /* and not hundreds of cells */
}
END_TEST

START_TEST(indexes_follow_what_comes_and_goes)
{
    static struct section_ref section[MANY][4];
    static struct cell_ref cell[MANY];
    GUARD(arena) held = arena_change();

    ck_assert_uint_eq(arena_new(ARENA_NAMESPACES), 1);
    for (int round = 0; round < 8; round++) {
        make_many(cell, section);
        expect_many(cell, section);
        for (uint32_t i = 0; i < MANY; i++) {
            uint32_t n = (i * 97 + (uint32_t)round) % MANY; /* in another order than they came */
            for (int k = 0; k < 4; k++)
                arena_free(section[n][k]);
            arena_free(cell[n]);
            ck_assert(!arena_cell_at(AT(n * CELL_BYTES)).index);
            cell[n] = NO_CELL;
        }
    }
    ck_assert(!index_is_suspect());
    ck_assert_uint_eq(strings(), 0);
}
END_TEST

/* As in the image, where cells follow each other without a gap. */
START_TEST(cells_that_share_a_page_are_told_apart)
{
    GUARD(arena) held = arena_change();
    struct section_ref section[16];
    struct cell_ref cell[16];

    for (uint32_t i = 0; i < 16; i++) {
        cell[i] = new_cell("c", AT(i * 0x80), 0x80);
        section[i] = new_section(cell[i], AT(i * 0x80), 0x80, ".text");
    }
    for (uint32_t i = 0; i < 16; i++) {
        uint64_t before = visits();
        ck_assert(same(arena_section_at(AT(i * 0x80 + 0x7f)), section[i]));
        ck_assert(same(arena_cell_at(AT(i * 0x80)), cell[i]));
        ck_assert_uint_lt(visits() - before, 120);
    }
    for (uint32_t i = 0; i < 16; i++) {
        arena_free(section[i]);
        arena_free(cell[i]);
        ck_assert(!arena_section_at(AT(i * 0x80)).index);
    }
    ck_assert(!index_is_suspect());
}
END_TEST

START_TEST(newest_of_two_symbols_is_found)
{
    GUARD(arena) held = arena_change();
    struct symbol_ref symbol[20];

    ck_assert_uint_eq(arena_new(ARENA_NAMESPACES), 1);
    for (int i = 0; i < 20; i++) {
        symbol[i] = new_symbol(NAMESPACE_ROOT, "twice");
        arena_symbol_publish(symbol[i]);
        ck_assert(same(arena_symbol_find(NAMESPACE_ROOT, "twice"), symbol[i]));
    }
    for (int i = 19; i > 0; i--) {
        arena_symbol_retract(symbol[i]);
        ck_assert(same(arena_symbol_find(NAMESPACE_ROOT, "twice"), symbol[i - 1]));
    }
    ck_assert(!index_is_suspect());
}
END_TEST

START_TEST(cells_are_found_through_parents)
{
    GUARD(arena) held = arena_change();
    struct namespace_ref root = {arena_new(ARENA_NAMESPACES)}, child = {arena_new(ARENA_NAMESPACES)};
    struct cell_ref inherited = new_cell("c", AT(0), 0x100);

    arena_namespace(child)->parent = root;
    arena_namespace(root)->parent = child; /* a damaged chain ends too */
    ck_assert(same(root, NAMESPACE_ROOT) && same(arena_cell_find(child, "c"), inherited));
    struct cell_ref own = new_cell("c", AT(1), 0x100);
    arena_cell(own)->namespace_ = child;
    arena_seal(own);
    ck_assert(same(arena_cell_find(child, "c"), own) && same(arena_cell_find(root, "c"), inherited));
    ck_assert(!arena_cell_find(child, "d").index);
}
END_TEST

START_TEST(a_cell_is_found_in_its_new_namespace)
{
    GUARD(arena) held = arena_change();
    struct cell_ref cell = new_cell("c", AT(0), 0x100);

    ck_assert_uint_eq(arena_new(ARENA_NAMESPACES), 1);
    ck_assert_uint_eq(arena_new(ARENA_NAMESPACES), 2);
    arena_cell(cell)->namespace_.index = 2;
    arena_seal(cell);
    ck_assert(!arena_cell_find(NAMESPACE_ROOT, "c").index);
    ck_assert(same(arena_cell_find((struct namespace_ref){2}, "c"), cell));
    ck_assert(!index_is_suspect());
}
END_TEST

/* A bit here and there, or a whole word. */
static void damage_index(struct index_table hit, bool bits)
{
    for (uint32_t i = (uint32_t)rand() % 7; i < hit.slots; i += hit.slots / 40)
        if (bits)
            hit.slot[i] ^= 1ull << rand() % 64;
        else
            hit.slot[i] = (uint64_t)rand() << 33 | (uint64_t)rand() | 1;
}

/* Any entry of any index may be hit: everything is found all the same, and the next change puts the index right. */
START_TEST(damaged_indexes_mislead_nobody)
{
    static struct section_ref section[MANY][4];
    static struct cell_ref cell[MANY];
    struct symbol_ref symbol;

    {
        GUARD(arena) held = arena_change();
        ck_assert_uint_eq(arena_new(ARENA_NAMESPACES), 1);
        make_many(cell, section);
        symbol = new_symbol(NAMESPACE_ROOT, "a_symbol");
        arena_symbol_publish(symbol);
    }
    srand(11);
    for (int round = 0; round < 60; round++) {
        damage_index(index_table[round % INDEXES], round % 2);
        if (round % 2)
            expect_many(cell, section);
        else
            for (uint32_t i = 0; i < MANY; i++) { /* words that add up by chance may hide a name, not an address */
                ck_assert(same(arena_cell_at(AT(i * CELL_BYTES)), cell[i]));
                ck_assert(same(arena_section_at(AT(i * CELL_BYTES + 0x2000)), section[i][2]));
            }
        if (round % 2)
            ck_assert(same(arena_symbol_find(NAMESPACE_ROOT, "a_symbol"), symbol));
        index_suspect();
        GUARD(arena) held = arena_change();
        ck_assert(!index_is_suspect());
        expect_many(cell, section);
    }
    GUARD(arena) held = arena_change();
    for (uint32_t i = 0; i < MANY; i++) {
        for (int k = 0; k < 4; k++)
            arena_free(section[i][k]);
        arena_free(cell[i]);
    }
    arena_free(symbol);
    ck_assert(!index_is_suspect());
    ck_assert_uint_eq(strings(), 0);
}
END_TEST

/* A writer that a fault has ended in the middle leaves an odd generation, and indexes of which nobody knows how far
 * they are. */
START_TEST(an_abandoned_change_is_made_good)
{
    static struct section_ref section[MANY][4];
    static struct cell_ref cell[MANY];

    {
        GUARD(arena) held = arena_change();
        ck_assert_uint_eq(arena_new(ARENA_NAMESPACES), 1);
        make_many(cell, section);
    }
    memset(index_table[INDEX_CELLS].slot, 0, index_table[INDEX_CELLS].slots * 8);
    arena_header()->generation++;
    expect_many(cell, section); /* by walking */
    {
        GUARD(arena) held = arena_change();
        expect_many(cell, section);
    }
    uint64_t before = visits();
    ck_assert(same(arena_cell_find(NAMESPACE_ROOT, "cell200"), cell[200]));
    ck_assert_uint_lt(visits() - before, 20);
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
    tcase_add_test(t, records_in_use_are_not_given_out);
    tcase_add_test(t, check_word_finds_each_flipped_bit);
    tcase_add_test(t, names_are_interned);
    tcase_add_test(t, names_come_and_go);
    tcase_add_test(t, generation_is_odd_within_a_change);
    tcase_add_test(t, edges_stand_in_both_lists);
    tcase_add_test(t, symbols_are_found_through_parents);
    tcase_add_test(t, addresses_lead_to_names);
    tcase_add_test(t, lookups_do_not_walk_tables);
    tcase_add_test(t, indexes_follow_what_comes_and_goes);
    tcase_add_test(t, cells_that_share_a_page_are_told_apart);
    tcase_add_test(t, newest_of_two_symbols_is_found);
    tcase_add_test(t, cells_are_found_through_parents);
    tcase_add_test(t, a_cell_is_found_in_its_new_namespace);
    tcase_add_test(t, damaged_indexes_mislead_nobody);
    tcase_add_test(t, an_abandoned_change_is_made_good);
    tcase_add_test(t, events_and_counters);
    suite_add_tcase(s, t);
    return s;
}
