/* Which replaced cells are freed, and when: those that refer to each other too, and some although others stay. Stacks
 * and words of memory are for tests/guest. */
#include "cells/core/arena/arena.h"
#include "cells/core/edge/edge.h"
#include "cells/core/loader/loader.h"
#include "cells/evolve/reap/reap.h"
#include "cells/evolve/swap/swap.h"
#include "tests/hosted/audit.h"
#include "tests/hosted/loaded.h"
#include "tests/hosted/stand_in.h"
#include <check.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

Suite *suite_hosted_reap(void);

static void setup(void)
{
    stand_in_start();
    ck_assert_msg(stand_in_boot("build/delias.elf", "build/tests/guest.archive"), "%s", stand_in.printed);
}

static void teardown(void)
{
    const char *what = audit();

    ck_assert_msg(!what, "%s", what);
}

static void load(const char *name)
{
    struct report report;
    struct cell_ref cell;

    ck_assert_msg(loader_load(name, &cell, &report) == LOAD_OK, "%s", report.text);
}

/* Replaces the cells by themselves, in one swap. */
static void replace(size_t count, const char *const *name)
{
    static struct swap_order order;
    static struct report report;
    char path[64];

    order = (struct swap_order){.namespace_ = NAMESPACE_ROOT, .olds = count, .objects = count};
    for (size_t i = 0; i < count; i++) {
        snprintf(path, sizeof path, "build/cells/%s.o", name[i]);
        order.old[i] = loaded_cell(name[i]);
        order.object[i] = stand_in_keep(path);
    }
    ck_assert_msg(swap_cells(&order, &report) == ERR_OK, "%s", report.text);
}

/* A section of the cell, whatever its state. */
static const struct arena_section *section_of(struct cell_ref cell, const char *name)
{
    for_each_section_of (s, cell)
        if (!strcmp(arena_string(arena_section(s)->name), name))
            return arena_section(s);
    ck_abort_msg("no %s", name);
}

static void bind(struct cell_ref from, const char *datum, struct cell_ref to, const char *function)
{
    ck_assert_int_eq(edge_bind((void *)section_of(from, datum)->virt, (void *)section_of(to, function)->virt), ERR_OK);
}

START_TEST(old_cells_that_refer_to_each_other_are_freed)
{
    load("left");
    size_t cells = stand_in_records(ARENA_CELLS), edges = stand_in_records(ARENA_EDGES);
    struct cell_ref old_left = loaded_cell("left"), old_right = loaded_cell("right");

    replace(2, (const char *[]){"left", "right"});
    bind(old_right, ".bss.right_total", old_left, ".text.left_call"); /* left calls right */

    bind(loaded_cell("right"), ".bss.right_total", old_right, ".text.right_sum");
    ck_assert_uint_eq(reap_replaced(), 2);
    reap_in_background();
    ck_assert_uint_eq(stand_in_records(ARENA_CELLS), cells + 2);
    ck_assert_int_eq(edge_bind((void *)section_of(loaded_cell("right"), ".bss.right_total")->virt, NULL), ERR_OK);
    ck_assert_uint_eq(reap_replaced(), 0);
    ck_assert_uint_eq(stand_in_records(ARENA_CELLS), cells);
    ck_assert_uint_eq(stand_in_records(ARENA_EDGES), edges);
}
END_TEST

static void reap_down_to(size_t cells)
{
    for (int i = 0; i < 1000 && stand_in_records(ARENA_CELLS) > cells; i++) {
        reap_in_background();
        usleep(1000);
    }
    ck_assert_uint_eq(stand_in_records(ARENA_CELLS), cells);
}

/* Those that nothing refers to go, or that nothing refers to any more, however many of them, and whoever else stays. */
START_TEST(reaping_in_the_background_goes_on)
{
    load("left");
    size_t cells = stand_in_records(ARENA_CELLS);
    struct cell_ref old = loaded_cell("right");
    replace(1, (const char *[]){"right"});
    bind(loaded_cell("right"), ".bss.right_total", old, ".text.right_sum");
    for (int i = 0; i < 3; i++)
        replace(1, (const char *[]){"left"});
    ck_assert_uint_eq(stand_in_records(ARENA_CELLS), cells + 4);
    reap_down_to(cells + 1);
    struct cell_ref held = loaded_cell("left");
    replace(1, (const char *[]){"left"});
    bind(loaded_cell("left"), ".bss.left_calls", held, ".text.left_call");
    reap_in_background();
    ck_assert_uint_eq(stand_in_records(ARENA_CELLS), cells + 2);
    ck_assert_int_eq(edge_bind((void *)section_of(loaded_cell("left"), ".bss.left_calls")->virt, NULL), ERR_OK);
    reap_down_to(cells + 1);
    ck_assert_uint_eq(arena_cell(old)->state, CELL_OLD);
}
END_TEST

/* What one cell costs that stays does not make those wait that were replaced since. */
START_TEST(what_was_not_tried_is_tried_at_once)
{
    load("left");
    size_t cells = stand_in_records(ARENA_CELLS);
    struct cell_ref old = loaded_cell("right");
    replace(1, (const char *[]){"right"});
    bind(loaded_cell("right"), ".bss.right_total", old, ".text.right_sum");
    stand_in.clock_ns = 1000000000;
    reap_in_background();
    uint64_t after_ns = stand_in.clock_ns;
    for (int i = 0; i < 3; i++) {
        replace(1, (const char *[]){"left"});
        ck_assert_uint_eq(stand_in_records(ARENA_CELLS), cells + 2);
        stand_in.clock_ns = after_ns;
        reap_in_background();
        ck_assert_uint_eq(stand_in_records(ARENA_CELLS), cells + 1);
    }
    ck_assert_uint_eq(arena_cell(old)->state, CELL_OLD);
}
END_TEST

START_TEST(memory_is_searched_once_for_a_swap)
{
    load("left");
    size_t cells = stand_in_records(ARENA_CELLS);
    replace(2, (const char *[]){"left", "right"});
    unsigned before = stand_in.searches;
    reap_in_background();
    ck_assert_uint_eq(stand_in_records(ARENA_CELLS), cells);
    ck_assert_uint_eq(stand_in.searches, before + 1);
}
END_TEST

/* Of several versions of each, of which none goes before those that refer to it. */
START_TEST(what_several_swaps_have_replaced_is_freed_together)
{
    load("left");
    size_t cells = stand_in_records(ARENA_CELLS);
    struct cell_ref left[3], right[3];

    for (int i = 0; i < 3; i++) {
        left[i] = loaded_cell("left");
        right[i] = loaded_cell("right");
        replace(2, (const char *[]){"left", "right"});
        bind(right[i], ".bss.right_total", i ? left[i - 1] : left[i], ".text.left_call");
    }
    bind(right[0], ".bss.right_total", left[2], ".text.left_call");
    ck_assert_uint_eq(stand_in_records(ARENA_CELLS), cells + 6);
    reap_in_background();
    ck_assert_uint_eq(stand_in_records(ARENA_CELLS), cells);
}
END_TEST

Suite *suite_hosted_reap(void)
{
    Suite *s = suite_create("hosted reap");
    TCase *tc = tcase_create("reap");

    tcase_add_checked_fixture(tc, setup, teardown);
    tcase_add_test(tc, old_cells_that_refer_to_each_other_are_freed);
    tcase_add_test(tc, reaping_in_the_background_goes_on);
    tcase_add_test(tc, what_was_not_tried_is_tried_at_once);
    tcase_add_test(tc, memory_is_searched_once_for_a_swap);
    tcase_add_test(tc, what_several_swaps_have_replaced_is_freed_together);
    suite_add_tcase(s, tc);
    return s;
}
