/* Another version of a cell that carries out swaps is swapped by copies: which cells are copied, when, what the copies
 * refer to, and that they are freed. They do not run here; tests/guest/tests/test_copies has them run. */
#include "cells/core/arena/arena.h"
#include "cells/core/loader/loader.h"
#include "cells/evolve/namespace/namespace.h"
#include "cells/evolve/reap/reap.h"
#include "cells/evolve/swap/swap.h"
#include "tests/hosted/audit.h"
#include "tests/hosted/loaded.h"
#include "tests/hosted/stand_in.h"
#include <check.h>
#include <stdio.h>
#include <string.h>

Suite *suite_hosted_copies(void);

static const char *const names[] = {"plan", "quiescence", "swap"};
static struct report report;
static struct swap_order order;

static void setup(void)
{
    struct cell_ref cell;

    stand_in_start();
    ck_assert_msg(stand_in_boot("build/delias.elf", "build/tests/guest.archive"), "%s", stand_in.printed);
    ck_assert_msg(loader_load("swap", &cell, &report) == LOAD_OK, "%s", report.text);
    stand_in.call_result = ERR_RANGE;
    order = (struct swap_order){.namespace_ = NAMESPACE_ROOT};
}

static void teardown(void)
{
    const char *what = audit();

    ck_assert_msg(!what, "%s", what);
}

/* The object of that file in place of the cell; the file may be the one that the cell is from. */
static void exchange(const char *name, const char *path)
{
    order.old[order.olds++] = loaded_cell(name);
    order.object[order.objects] = path ? stand_in_keep(path) : arena_cell(loaded_cell(name))->object;
    ck_assert(order.object[order.objects++].index);
}

static enum err go(void)
{
    stand_in.calls = 0;
    return namespace_swap(&order, &report);
}

static bool is_name(struct cell_ref cell, const char *name)
{
    return !strcmp(arena_string(arena_cell(cell)->name), name);
}

/* The cells of that name: the live one, and others. */
static size_t count(const char *name, struct cell_ref *ret_other)
{
    size_t found = 0;

    for_each_cell (i) {
        if (arena_cell(i)->state == CELL_FREE || !is_name(i, name))
            continue;
        if (arena_cell(i)->state != CELL_LIVE)
            *ret_other = i;
        found++;
    }
    return found;
}

/* Each copy refers to the other copies, and nobody else does. */
static void check_edges(struct cell_ref copy)
{
    for_each_section_of (s, copy) {
        for_each_edge_from (e, s) {
            struct cell_ref to = arena_section(arena_edge(e)->to)->cell;
            for (size_t i = 0; i < array_size(names); i++)
                ck_assert(!same(to, loaded_cell(names[i])));
        }
        for_each_edge_to (e, s) {
            struct cell_ref from = arena_section(arena_edge(e)->from)->cell;
            ck_assert(arena_cell(from)->state == CELL_OLD);
        }
    }
}

static const char *function_at(uint64_t address)
{
    return arena_string(arena_section(arena_section_at(address))->name);
}

START_TEST(a_copy_is_called_and_freed)
{
    struct stand_in_use use = stand_in_use();
    struct cell_ref copy[array_size(names)];
    char path[64];

    snprintf(path, sizeof path, "build/cells/%s.o", names[_i]);
    exchange(names[_i], path);
    ck_assert_int_eq(go(), ERR_RANGE);
    ck_assert_uint_eq(stand_in.calls, 1);
    ck_assert(is_name(arena_cell_at(stand_in.call[0]), "swap"));
    ck_assert(!same(arena_cell_at(stand_in.call[0]), loaded_cell("swap")));
    ck_assert_str_eq(function_at(stand_in.call[0]), function_at(loaded_address("swap_cells")));
    for (size_t i = 0; i < array_size(names); i++) {
        ck_assert_uint_eq(count(names[i], &copy[i]), 2);
        ck_assert_int_eq(arena_cell(copy[i])->state, CELL_OLD);
        ck_assert(same(arena_cell(copy[i])->object, arena_cell(loaded_cell(names[i]))->object));
        ck_assert_uint_eq(arena_cell(copy[i])->went, arena_cell(loaded_cell(names[i]))->came);
        ck_assert_uint_ne(arena_cell(copy[i])->went, 0);
        check_edges(copy[i]);
    }
    loader_drop_object(order.object[0]);
    ck_assert_uint_eq(reap_replaced(), 0);
    struct stand_in_use now = stand_in_use();
    ck_assert_msg(stand_in_same_use(&use, &now), "%s", stand_in_difference(&use, &now));
}
END_TEST

START_TEST(others_and_reloads_and_dry_runs_take_no_copy)
{
    struct cell_ref copy, channel;

    stand_in.call_result = ERR_OK;
    ck_assert_msg(loader_load("channel", &channel, &report) == LOAD_OK, "%s", report.text);
    exchange("channel", "build/cells/channel_v2.o");
    ck_assert_msg(go() == ERR_OK, "%s", report.text);
    order = (struct swap_order){.namespace_ = NAMESPACE_ROOT};
    exchange("plan", NULL);
    ck_assert_msg(go() == ERR_OK, "%s", report.text);
    ck_assert_uint_eq(stand_in.calls, 0);
    order = (struct swap_order){.namespace_ = NAMESPACE_ROOT, .flags = SWAP_DRY_RUN};
    exchange("swap", "build/cells/swap.o");
    ck_assert_msg(go() == ERR_OK, "%s", report.text);
    ck_assert_uint_eq(stand_in.calls, 0);
    ck_assert_uint_eq(count("swap", &copy), 1);
    ck_assert_uint_eq(reap_replaced(), 0);
}
END_TEST

/* Whatever cannot be had: the swap is refused, and nothing stays, the new object neither. */
START_TEST(without_memory_for_copies_nothing_changes)
{
    struct stand_in_use use = stand_in_use();
    enum err e = ERR_NOMEM;
    size_t failed = 0;

    for (; e == ERR_NOMEM || e == ERR_FULL; failed += 7) {
        order = (struct swap_order){.namespace_ = NAMESPACE_ROOT};
        exchange("quiescence", "build/cells/quiescence.o");
        stand_in.allocations = 0;
        stand_in.fail_at = failed + 1;
        e = go();
        stand_in.fail_at = 0;
        if (stand_in.calls)
            break;
        ck_assert_int_ne(e, ERR_OK);
        struct stand_in_use now = stand_in_use();
        ck_assert_msg(stand_in_same_use(&use, &now), "%s", stand_in_difference(&use, &now));
    }
    ck_assert_uint_gt(failed, 100);
    ck_assert_int_eq(e, ERR_RANGE);
    loader_drop_object(order.object[0]);
    ck_assert_uint_eq(reap_replaced(), 0);
}
END_TEST

Suite *suite_hosted_copies(void)
{
    Suite *suite = suite_create("hosted copies");
    TCase *cases = tcase_create("copies");

    tcase_add_checked_fixture(cases, setup, teardown);
    tcase_add_loop_test(cases, a_copy_is_called_and_freed, 0, array_size(names));
    tcase_add_test(cases, others_and_reloads_and_dry_runs_take_no_copy);
    tcase_add_test(cases, without_memory_for_copies_nothing_changes);
    suite_add_tcase(suite, cases);
    return suite;
}
