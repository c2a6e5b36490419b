/* The reserves of the arena's tables, which are for recovery alone. */
#include "cells/core/arena/arena.h"
#include "cells/core/arena/inside.h"
#include "cells/core/cpu/cpu.h"
#include "tests/hosted/stand_in.h"
#include <check.h>
#include <stdio.h>
#include <string.h>

Suite *suite_hosted_reserve(void);

/* A test is the only one who writes. */
static void is_writer(void) HOLDS(arena_writer)
{
}

/* The running task is recovery's, or not. */
static void recover(bool on)
{
    cpu_this()->task = (struct task *)&stand_in;
    arena_reserve_user = on ? cpu_task() : NULL;
}

static unsigned take_all(enum arena_table table, uint32_t *ret_last)
{
    unsigned count = 0;

    is_writer();
    for (uint32_t i; (i = arena_new(table)); count++)
        *ret_last = i;
    return count;
}

START_TEST(the_reserve_is_for_recovery)
{
    static const struct {
        enum arena_table table;
        const char *name;
        bool reserve;
    } tables[] = {{ARENA_NAMESPACES, "namespaces", false},
                  {ARENA_OBJECTS, "objects", true},
                  {ARENA_CELLS, "cells", true},
                  {ARENA_SECTIONS, "sections", true},
                  {ARENA_SYMBOLS, "symbols", true},
                  {ARENA_EDGES, "edges", true},
                  {ARENA_TASKS, "tasks", true}};
    GUARD(arena) held = arena_change();

    for (size_t i = 0; i < array_size(tables); i++) {
        enum arena_table table = tables[i].table;
        const struct arena_table_desc *desc = &arena_header()->table[table];
        struct report report = {};
        char text[128];
        uint32_t last = 0;
        recover(false);
        ck_assert_uint_eq(desc->reserve, tables[i].reserve ? desc->capacity / ARENA_RESERVE_PART : 0);
        ck_assert_uint_eq(take_all(table, &last), desc->capacity - 1 - desc->reserve);
        ck_assert_int_eq(arena_refuse_full(table, &report), ERR_FULL);
        snprintf(text, sizeof text, "no room for %s: %u of %u in use, %u are for recovery; unload something",
                 tables[i].name, desc->capacity - 1 - desc->reserve, desc->capacity - 1, desc->reserve);
        ck_assert_str_eq(report.text, text);
        recover(true);
        ck_assert_uint_eq(take_all(table, &last), desc->reserve);
        recover(false);
        for (uint32_t k = 0; k < desc->reserve; k++) { /* what is freed goes to the reserve first */
            arena_record_free(table, last - k);
            ck_assert_uint_eq(arena_new(table), 0);
        }
        arena_record_free(table, 1);
        ck_assert_uint_eq(arena_new(table), 1);
        ck_assert_uint_eq(arena_new(table), 0);
    }
}
END_TEST

/* Another task than recovery's gets nothing, nor does a CPU without a task while nobody recovers. */
START_TEST(the_reserve_is_for_one_task)
{
    GUARD(arena) held = arena_change();
    uint32_t last;

    recover(true);
    cpu_this()->task = (struct task *)&last;
    ck_assert_uint_eq(take_all(ARENA_CELLS, &last), STAND_IN_ORDINARY(ARENA_CELLS_BASE));
    cpu_this()->task = NULL;
    ck_assert_uint_eq(arena_new(ARENA_CELLS), 0);
    arena_reserve_user = NULL;
    ck_assert_uint_eq(arena_new(ARENA_CELLS), 0);
}
END_TEST

static unsigned take_names(size_t bytes)
{
    static unsigned count;
    char name[4096];
    unsigned first = count;

    is_writer();
    memset(name, 'n', sizeof name);
    do
        snprintf(name + bytes - 8, sizeof name - bytes, "%07u", count);
    while (arena_new_named(ARENA_SYMBOLS, name) && ++count);
    return count - first;
}

START_TEST(names_have_a_reserve)
{
    GUARD(arena) held = arena_change();
    const struct arena_table_desc *desc = &arena_header()->table[ARENA_STRINGS];
    struct report report = {};

    recover(false);
    ck_assert_uint_eq(take_names(1024), (ARENA_STRINGS_BASE - ARENA_STRINGS_BASE / ARENA_RESERVE_PART) / 1024 - 1);
    ck_assert_int_eq(arena_refuse_full(ARENA_SYMBOLS, &report), ERR_FULL);
    ck_assert_ptr_nonnull(strstr(report.text, "no room for names: "));
    recover(true);
    ck_assert_uint_eq(take_names(1024), ARENA_STRINGS_BASE / ARENA_RESERVE_PART / 1024);
    recover(false);
    ck_assert_uint_eq(take_names(1024), 0);
    uint32_t used = desc->used, in_use = desc->in_use;
    arena_record_free(ARENA_SYMBOLS, 1);
    ck_assert_uint_eq(desc->in_use, in_use - 1024);
    ck_assert_uint_eq(desc->used, used);
}
END_TEST

/* A fault that ends a change may leave the numbers wrong. */
START_TEST(what_is_in_use_is_counted_again)
{
    uint32_t last = 0, in_use[ARENA_TASKS + 1];

    {
        GUARD(arena) held = arena_change();
        for (enum arena_table t = 0; t <= ARENA_TASKS; t++) {
            for (int i = 0; i < 9; i++)
                last = arena_new(t);
            arena_record_free(t, last);
            arena_record_free(t, last - 2);
            in_use[t] = arena_header()->table[t].in_use;
            ck_assert_uint_eq(in_use[t], 8);
            arena_header()->table[t].in_use = 0x7fffffff;
        }
        ck_assert_uint_eq(arena_new(ARENA_CELLS), 0);
        index_suspect();
    }
    GUARD(arena) held = arena_change();
    for (enum arena_table t = 0; t <= ARENA_TASKS; t++)
        ck_assert_uint_eq(arena_header()->table[t].in_use, in_use[t]);
    ck_assert_uint_ne(arena_new(ARENA_CELLS), 0);
}
END_TEST

Suite *suite_hosted_reserve(void)
{
    Suite *s = suite_create("hosted reserve");
    TCase *t = tcase_create("reserve");

    tcase_add_checked_fixture(t, stand_in_start, NULL);
    tcase_add_test(t, the_reserve_is_for_recovery);
    tcase_add_test(t, the_reserve_is_for_one_task);
    tcase_add_test(t, names_have_a_reserve);
    tcase_add_test(t, what_is_in_use_is_counted_again);
    suite_add_tcase(s, t);
    return s;
}
