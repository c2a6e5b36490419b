/* The rule by which the arena grows with the machine's RAM, and an arena that has grown. */
#include "cells/core/arena/arena.h"
#include "cells/core/arena/inside.h"
#include "tests/hosted/stand_in.h"
#include <check.h>
#include <stdio.h>
#include <string.h>

Suite *suite_hosted_capacity(void);

#define MIB        (1ul << 20)
#define GROWN_PHYS (16 * MIB) /* where the stand-in hands out frames, which these tests do not ask for */

/* A test is the only one who writes. */
static void is_writer(void) HOLDS(arena_writer)
{
}

START_TEST(a_small_machine_has_what_it_always_had)
{
    static const uint32_t usual[ARENA_TABLES] = {
#define X(table, type, stable_bytes, base, most) base,
        ARENA_SHAPES(X)
#undef X
    };
    uint64_t bytes = arena_plan(64 * MIB);

    ck_assert_uint_le(bytes, ARENA_TABLES_ROOM);
    for (int t = 0; t < ARENA_TABLES; t++)
        ck_assert_uint_eq(arena_areas[t].capacity, usual[t]);
    ck_assert_uint_eq(arena_plan(0), bytes);
    ck_assert_uint_eq(arena_plan(65 * MIB - 1), bytes);
    ck_assert_uint_gt(arena_plan(65 * MIB), bytes);
    ck_assert_uint_eq(usual[ARENA_CELLS], 256);
    ck_assert_uint_eq(usual[ARENA_EDGES], 28672);
}
END_TEST

START_TEST(tables_grow_with_ram)
{
    static const uint64_t ram[] = {64, 80, 128, 256, 1023, 1024, 2112, 4096, 65536};
    uint32_t before[AREAS] = {};

    for (size_t i = 0; i < array_size(ram); i++) {
        uint64_t bytes = arena_plan(ram[i] * MIB);
        ck_assert_uint_le(bytes, ram[i] * MIB / 5);
        ck_assert_uint_lt(bytes, 1ul << 32);
        for (int a = 0; a < AREAS; a++) {
            uint32_t capacity = arena_areas[a].capacity;
            bool grows = a <= ARENA_EDGES || a == ARENA_STRINGS || a >= ARENA_TABLES;
            ck_assert(i == 0 || (grows && ram[i] <= 2112 ? capacity > before[a] : capacity == before[a]));
            ck_assert(a == ARENA_STRINGS || a == ARENA_MAILBOX || a >= ARENA_TABLES || capacity < 1u << 24);
            before[a] = capacity;
        }
    }
    (void)arena_plan(1023 * MIB); /* what 1 GiB has beside what the firmware takes */
    ck_assert_uint_gt(arena_areas[ARENA_CELLS].capacity / ARENA_RESERVE_PART * (ARENA_RESERVE_PART - 1), 10000 + 100);
    ck_assert_uint_gt(arena_areas[ARENA_NAMESPACES].capacity, 100);
}
END_TEST

START_TEST(a_grown_arena_is_used_to_its_end)
{
    uint64_t bytes = arena_plan(80 * MIB);
    char name[32];
    uint32_t cells = 0;

    arena_place(GROWN_PHYS);
    arena_init();
    const struct arena_header *header = arena_header();
    ck_assert_uint_eq(header->arena_bytes, GROWN_PHYS + bytes - LAYOUT_ARENA_PHYS);
    ck_assert_uint_eq(header->table[ARENA_NAMESPACES].offset, GROWN_PHYS - LAYOUT_ARENA_PHYS);
    GUARD(arena) held = arena_change();
    for (struct cell_ref cell;
         snprintf(name, sizeof name, "cell%u", cells), (cell.index = arena_new_named(ARENA_CELLS, name)); cells++) {
        is_writer();
        arena_cell(cell)->namespace_ = NAMESPACE_ROOT;
        arena_cell(cell)->state = CELL_LIVE;
        arena_seal(cell);
    }
    ck_assert_uint_eq(cells, STAND_IN_ORDINARY(header->table[ARENA_CELLS].capacity));
    ck_assert_uint_gt(cells, ARENA_CELLS_BASE);
    ck_assert_uint_eq(arena_new(ARENA_NAMESPACES), 1);
    while (cells-- > 0) {
        snprintf(name, sizeof name, "cell%u", cells);
        ck_assert_uint_eq(arena_cell_find(NAMESPACE_ROOT, name).index, cells + 1);
    }
}
END_TEST

Suite *suite_hosted_capacity(void)
{
    Suite *s = suite_create("hosted capacity");
    TCase *t = tcase_create("capacity");

    tcase_add_checked_fixture(t, stand_in_start, NULL);
    tcase_add_test(t, a_small_machine_has_what_it_always_had);
    tcase_add_test(t, tables_grow_with_ram);
    tcase_add_test(t, a_grown_arena_is_used_to_its_end);
    suite_add_tcase(s, t);
    return s;
}
