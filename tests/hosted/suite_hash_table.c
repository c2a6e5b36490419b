/* Hash tables with open addressing: what was added is found, each entry once, after any removals; nothing else is. And
 * the index that plans have, which is made of one. */
#include "cells/evolve/plan/index.h"
#include "cells/lib/hash_table/hash_table.h"
#include <check.h>
#include <stdlib.h>
#include <string.h>

Suite *suite_hosted_hash_table(void);

enum { SLOTS = 13, SLOTS_POWER = 16, ROUNDS = 2000 };

struct entry {
    uint32_t key; /* 0: the slot is empty */
    uint32_t value;
};

/* Few hashes, so that runs are long, some at the end of the table and around it; with bits that only a modulo takes
 * off. */
static uint32_t hash_of(uint32_t key)
{
    return key % 5 + 0xfffffff0u;
}

static bool read_hash(const void *table, uint32_t at, uint32_t *ret_hash)
{
    const struct entry *entry = table;

    if (!entry[at].key)
        return false;
    *ret_hash = hash_of(entry[at].key);
    return true;
}

static void move(void *table, uint32_t to, uint32_t from)
{
    struct entry *entry = table;

    entry[to] = entry[from];
}

static struct entry *find(struct entry *table, uint32_t slots, uint32_t key)
{
    for_each_probe (at, hash_of(key), slots)
        if (!table[at].key || table[at].key == key)
            return &table[at];
    return NULL;
}

static void check_as_in_model(struct entry *table, uint32_t slots, const uint32_t *value, uint32_t keys)
{
    uint32_t used = 0, expected = 0;

    for (uint32_t key = 1; key <= keys; key++) {
        struct entry *entry = find(table, slots, key);
        ck_assert_uint_eq(entry && entry->key ? entry->value : 0, value[key]);
        expected += value[key] != 0;
    }
    for (uint32_t at = 0; at < slots; at++)
        used += table[at].key != 0;
    ck_assert_uint_eq(used, expected); /* nothing is left behind where no search looks */
}

/* Adds and removes in a random order, in a table that is full at times, beside a plain array. */
static void check_table(uint32_t slots)
{
    enum { KEYS = SLOTS_POWER };
    struct entry table[SLOTS_POWER] = {0};
    uint32_t value[KEYS + 1] = {0};

    srandom(7);
    for (uint32_t round = 1; round <= ROUNDS; round++) {
        uint32_t key = (uint32_t)random() % KEYS + 1;
        struct entry *entry = find(table, slots, key);
        if (value[key]) {
            uint32_t empty = hash_close_gap((uint32_t)(entry - table), slots, table, read_hash, move);
            table[empty] = (struct entry){0};
            value[key] = 0;
        } else if (entry) {
            *entry = (struct entry){key, round};
            value[key] = round;
        }
        check_as_in_model(table, slots, value, KEYS);
    }
}

START_TEST(as_a_plain_array)
{
    check_table(SLOTS);
    check_table(SLOTS_POWER);
    check_table(1);
}
END_TEST

/* From any hash, each slot is looked at once, from the home on and around the end. */
START_TEST(every_slot_once)
{
    for (uint32_t hash = 0; hash < 3 * SLOTS; hash++) {
        uint32_t expected = hash % SLOTS, seen = 0;
        for_each_probe (at, hash, SLOTS) {
            ck_assert_uint_eq(at, expected);
            expected = expected == SLOTS - 1 ? 0 : expected + 1;
            seen++;
        }
        ck_assert_uint_eq(seen, SLOTS);
    }
}
END_TEST

START_TEST(continued_where_it_was_left)
{
    uint32_t steps = 0, next = 9;

    for (uint32_t n = 0; n < SLOTS; n++) {
        uint32_t seen = UINT32_MAX;
        for_each_probe_behind (steps, at, 9 + 2 * SLOTS, SLOTS) {
            seen = at;
            break;
        }
        ck_assert_uint_eq(seen, next++ % SLOTS);
    }
    for_each_probe_behind (steps, at, 9 + 2 * SLOTS, SLOTS)
        ck_abort_msg("slot %u is looked at again", at);
}
END_TEST

/* What cannot be, a table without an empty slot whose entries are all from home, ends too. */
START_TEST(a_full_table_ends)
{
    struct entry table[SLOTS];

    for (uint32_t at = 0; at < SLOTS; at++)
        table[at] = (struct entry){at + 1, 1};
    ck_assert_uint_lt(hash_close_gap(3, SLOTS, table, read_hash, move), SLOTS);
    ck_assert_ptr_null(find(table, SLOTS, SLOTS + 1));
}
END_TEST

/* Each name is in each cell as often as its number says. */
START_TEST(names_of_several_cells)
{
    enum { NAMES = 6, CELLS = 3, ENTRIES = CELLS * NAMES * (NAMES + 1) / 2 };
    uint64_t memory[192];
    ck_assert_uint_le(index_bytes(ENTRIES), sizeof memory);
    struct index *index = index_make(memory, ENTRIES);
    uint32_t record = 0;

    for (uint32_t cell = 1; cell <= CELLS; cell++)
        for (uint32_t name = 1; name <= NAMES; name++)
            for (uint32_t ordinal = 0; ordinal < name; ordinal++)
                index_add(index, name, cell, ++record);
    for (uint32_t name = 1; name <= NAMES; name++) {
        uint32_t place = 0;
        for (uint32_t n = 0; n < CELLS * name; n++) {
            const struct index_entry *e = index_find(index, name, &place);
            ck_assert(e && e->name == name && e->cell == n / name + 1 && e->ordinal == n % name);
            ck_assert_uint_eq(e->record, n / name * (ENTRIES / CELLS) + name * (name - 1) / 2 + e->ordinal + 1);
        }
        ck_assert_ptr_null(index_find(index, name, &place));
    }
}
END_TEST

Suite *suite_hosted_hash_table(void)
{
    Suite *suite = suite_create("hosted hash_table");
    TCase *cases = tcase_create("hash_table");

    tcase_add_test(cases, as_a_plain_array);
    tcase_add_test(cases, every_slot_once);
    tcase_add_test(cases, continued_where_it_was_left);
    tcase_add_test(cases, a_full_table_ends);
    tcase_add_test(cases, names_of_several_cells);
    suite_add_tcase(suite, cases);
    return suite;
}
