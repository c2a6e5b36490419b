/* What a child lacks though its parent has it, and what it gives up for its parent's: refused where another of its
 * cells depends on what would go or change, and leaving nothing behind. Cells are those of figure 8.1. */
#include "cells/core/arena/arena.h"
#include "cells/core/lifecycle/lifecycle.h"
#include "cells/core/loader/loader.h"
#include "cells/evolve/namespace/namespace.h"
#include "cells/evolve/reap/reap.h"
#include "cells/evolve/swap/swap.h"
#include "cells/memory/heap/heap.h"
#include "tests/hosted/child.h"
#include <check.h>
#include <string.h>

Suite *suite_hosted_inherit(void);

/* ---- what a child lacks ---- */

/* Takes cells of these names out of the namespace. */
static enum err take_out(struct namespace_ref namespace_, size_t count, const char *const *names)
{
    struct swap_order order = {.namespace_ = namespace_, .olds = count};

    for (size_t i = 0; i < count; i++)
        order.old[i] = in(namespace_, names[i]);
    return namespace_swap(&order, &report);
}
#define TAKE_OUT(namespace_, ...)                                                                                      \
    take_out(namespace_, sizeof((const char *[]){__VA_ARGS__}) / sizeof(char *), (const char *const[]){__VA_ARGS__})

/* Has cells of the child inherited that are as the parent's; it has them from these objects. */
static enum err inherit(size_t count, const char *const *names)
{
    struct swap_order order = {.namespace_ = child, .objects = count, .inherits = count};

    for (size_t i = 0; i < count; i++) {
        struct cell_ref there = namespace_cell(child, names[i]);
        if (there.index)
            order.old[order.olds++] = there;
        order.object[i] = arena_cell(in(NAMESPACE_ROOT, names[i]))->object;
    }
    stand_in.calls = 0;
    return namespace_swap(&order, &report);
}
#define INHERIT(...) inherit(sizeof((const char *[]){__VA_ARGS__}) / sizeof(char *), (const char *const[]){__VA_ARGS__})

static void check_lacks(struct namespace_ref namespace_, const char *name, const char *symbol)
{
    struct cell_ref cell;
    uint64_t address;

    ck_assert(!namespace_cell(namespace_, name).index && !arena_cell_find(namespace_, name).index);
    ck_assert_int_eq(lifecycle_symbol_in(namespace_, symbol, &address), ERR_NOT_FOUND);
    memset(&report, 0, sizeof report);
    ck_assert_int_eq(namespace_load(namespace_, name, &cell, &report), ERR_NOT_FOUND);
    ck_assert_msg(strstr(report.text, " lacks "), "%s", report.text);
}

/* The root's stays, and what comes to the child later cannot use it. A branch of the child lacks it, too. */
START_TEST(a_child_may_lack_what_its_parent_has)
{
    struct craft user = craft_cell("late_user", 1);
    struct stand_in_use start;
    struct namespace_ref inner;
    struct cell_ref late;
    uint64_t address;

    ck_assert_msg(namespace_load(NAMESPACE_ROOT, "figure_late", &late, &report) == ERR_OK, "%s", report.text);
    heap_trim();
    start = stand_in_use();
    ck_assert_msg(TAKE_OUT(child, "figure_late") == ERR_OK, "%s", report.text);
    ck_assert_uint_eq(stand_in_use().records[ARENA_CELLS], start.records[ARENA_CELLS] + 1);
    check_lacks(child, "figure_late", "figure_late_main");
    ck_assert(same(in(NAMESPACE_ROOT, "figure_late"), late) && arena_cell(late)->state == CELL_LIVE);
    ck_assert_int_eq(namespace_branch(child, "inner", NULL, &inner, &report), ERR_OK);
    check_lacks(inner, "figure_late", "figure_late_main");
    ck_assert_int_eq(namespace_remove(inner, &report), ERR_OK);
    ck_assert_msg(INHERIT("figure_late") == ERR_OK, "%s", report.text);
    ck_assert(same(in(child, "figure_late"), late));
    check_use(&start);
    ck_assert_msg(TAKE_OUT(child, "figure_late", "figure_app") == ERR_OK, "%s", report.text);
    ck_assert_msg(TAKE_OUT(child, "figure_b") == ERR_OK, "%s", report.text);
    check_lacks(child, "figure_b", "figure_b");
    ck_assert_int_eq(lifecycle_symbol("figure_b", &address), ERR_OK);
    uint32_t function = craft_function(&user, "late_call", ACCESS_APPLICATION);
    craft_call(&user, function, 0, craft_import(&user, "figure_b"));
    ck_assert_int_eq(load_into(child, &user), ERR_UNRESOLVED);
    ck_assert_msg(strstr(report.text, "figure_b, which only cell figure_b exports"), "%s", report.text);
    ck_assert_int_eq(namespace_remove(child, &report), ERR_OK); /* with its absences */
    child = NO_NAMESPACE;
    ck_assert_int_eq(lifecycle_unload(late), ERR_OK);
}
END_TEST

/* Whoever depends on it refuses it, inherited or the child's own. */
START_TEST(what_is_needed_is_not_lacked)
{
    struct stand_in_use start = stand_in_use();

    ck_assert_int_eq(TAKE_OUT(child, "figure_b"), ERR_UNRESOLVED);
    ck_assert_str_eq(report.text, "figure_app: needs figure_b, which only cell figure_b exports, and that is hidden or "
                                  "to go");
    ck_assert_int_eq(TAKE_OUT(child, "string"), ERR_NOT_SWAPPABLE);
    ck_assert_str_eq(report.text, "string is part of the nano_core image, which all namespaces have");
    check_use(&start);
    ck_assert_msg(change("build/cells/figure_b_v2.o", 0) == ERR_OK, "%s", report.text);
    heap_trim();
    start = stand_in_use();
    ck_assert_int_eq(TAKE_OUT(child, "figure_b"), ERR_MISSING_SYMBOL); /* its own; the root's would be seen again */
    ck_assert_int_eq(TAKE_OUT(child, "figure_a"), ERR_MISSING_SYMBOL); /* that the child's own figure_app uses */
    ck_assert_msg(strstr(report.text, "figure_a is used by"), "%s", report.text);
    ck_assert(is_own(child, "figure_b") && !is_own(child, "figure_a"));
    check_use(&start);
    ck_assert_msg(TAKE_OUT(child, "figure_b", "figure_app") == ERR_OK, "%s", report.text);
    check_lacks(child, "figure_b", "figure_b");
}
END_TEST

/* A cell of its own takes the place of what the child lacks, and the absence is gone with it. */
START_TEST(what_is_lacked_may_come_again)
{
    struct swap_order order = {.namespace_ = child, .objects = 1};

    ck_assert_msg(TAKE_OUT(child, "figure_app", "figure_b") == ERR_OK, "%s", report.text);
    order.object[0] = stand_in_keep("build/cells/figure_b_v2.o");
    ck_assert_msg(namespace_swap(&order, &report) == ERR_OK, "%s", report.text);
    loader_drop_object(order.object[0]);
    ck_assert(is_own(child, "figure_b") && version_of(child, "figure_b") == 2);
    for_each_cell (i)
        ck_assert(arena_cell(i)->state != CELL_ABSENT || strcmp(arena_string(arena_cell(i)->name), "figure_b"));
    ck_assert_int_eq(INHERIT("figure_app"), ERR_OK); /* it cannot be, since it depends on figure_b: a copy comes */
    ck_assert(is_own(child, "figure_app"));
    check_ways(child);
}
END_TEST

START_TEST(a_refused_absence_is_undone)
{
    const char *const names[] = {"figure_app", "figure_c"};
    struct stand_in_use start;

    ck_assert_msg(change("build/cells/figure_c_v2.o", 0) == ERR_OK, "%s", report.text);
    heap_trim();
    start = stand_in_use();
    ck_assert_int_eq(take_out(child, 2, names), ERR_MISSING_SYMBOL);
    struct swap_order dry = {.namespace_ = child, .olds = 1, .flags = SWAP_DRY_RUN, .old = {in(child, "figure_app")}};
    ck_assert_msg(namespace_swap(&dry, &report) == ERR_OK, "%s", report.text);
    ck_assert(is_own(child, "figure_app") && is_own(child, "figure_c"));
    check_use(&start);
}
END_TEST

/* ---- what a child gives up ---- */

/* figure_each has a counter of the child, so it stays; and so does figure_app, since the root's uses the root's. */
START_TEST(what_is_held_may_be_given_up)
{
    ck_assert_msg(change("build/cells/figure_c_v2.o", 0) == ERR_OK, "%s", report.text);
    struct cell_ref c = in(child, "figure_c"), each = in(child, "figure_each"), app = in(child, "figure_app");
    ck_assert_msg(INHERIT("figure_c", "figure_user", "figure_each", "figure_app") == ERR_OK, "%s", report.text);
    ck_assert(same(in(child, "figure_c"), in(NAMESPACE_ROOT, "figure_c")));
    ck_assert(same(in(child, "figure_user"), in(NAMESPACE_ROOT, "figure_user")));
    ck_assert(same(in(child, "figure_each"), each) && same(in(child, "figure_app"), app));
    ck_assert_uint_eq(stand_in.calls, 0);
    ck_assert_uint_gt(report.relocations, 0);
    ck_assert_uint_eq(arena_cell(c)->state, CELL_OLD);
    ck_assert_uint_eq(reap_replaced(), 0);
    ck_assert_uint_eq(arena_cell(c)->state, CELL_FREE);
    check_ways(child);
    ck_assert(arena_cell(in(NAMESPACE_ROOT, "figure_c"))->state == CELL_LIVE);
}
END_TEST

/* The newest record of a change of that cell. */
static const struct arena_change *last_change(const char *name)
{
    const struct arena_change *last = NULL;

    for (uint32_t i = 1; i < ARENA_CHANGES_MAX; i++) {
        const struct arena_change *c = arena_record(ARENA_CHANGES, i);
        if (c->seq && strcmp(c->cell, name) == 0 && (!last || c->seq > last->seq))
            last = c;
    }
    ck_assert_ptr_nonnull(last);
    return last;
}

static void check_logged(const char *name, uint32_t old_version, enum arena_change_side old_side, uint32_t new_version,
                         enum arena_change_side new_side)
{
    const struct arena_change *c = last_change(name);

    ck_assert_uint_eq(c->old_version, old_version);
    ck_assert_uint_eq(c->new_version, new_version);
    ck_assert_uint_eq(c->old_side, old_side);
    ck_assert_uint_eq(c->new_side, new_side);
    ck_assert(!c->old_object == !old_version && !c->new_object == !new_version);
}

START_TEST(the_log_says_whose_cells_were)
{
    ck_assert_msg(change("build/cells/figure_b_v2.o", 0) == ERR_OK, "%s", report.text);
    check_logged("figure_b", 1, CHANGE_INHERITED, 2, CHANGE_OWN);
    ck_assert_msg(INHERIT("figure_b", "figure_app") == ERR_OK, "%s", report.text);
    check_logged("figure_b", 2, CHANGE_OWN, 1, CHANGE_INHERITED);
    check_logged("figure_app", 1, CHANGE_OWN, 1, CHANGE_INHERITED);
    ck_assert_msg(TAKE_OUT(child, "figure_app") == ERR_OK, "%s", report.text);
    check_logged("figure_app", 1, CHANGE_INHERITED, 0, CHANGE_LACKED);
    ck_assert_msg(INHERIT("figure_app") == ERR_OK, "%s", report.text);
    check_logged("figure_app", 0, CHANGE_LACKED, 1, CHANGE_INHERITED);
}
END_TEST

START_TEST(all_that_is_held_may_be_given_up)
{
    ck_assert_msg(change("build/cells/figure_b_v2.o", 0) == ERR_OK, "%s", report.text);
    ck_assert_msg(INHERIT("figure_b", "figure_app") == ERR_OK, "%s", report.text);
    ck_assert_uint_eq(reap_replaced(), 0);
    ck_assert_uint_eq(stand_in_use().records[ARENA_CELLS], child_before.records[ARENA_CELLS]);
    ck_assert_uint_eq(stand_in_use().records[ARENA_EDGES], child_before.records[ARENA_EDGES]);
}
END_TEST

/* What would have the child's tasks use another figure_c than the child's. */
START_TEST(what_depends_on_what_differs_is_not_given_up)
{
    ck_assert_msg(change("build/cells/figure_c_v2.o", 0) == ERR_OK, "%s", report.text);
    struct cell_ref user = in(child, "figure_user");
    heap_trim();
    struct stand_in_use start = stand_in_use();
    ck_assert_int_eq(INHERIT("figure_user"), ERR_OK);
    ck_assert_str_eq(report.text, "the parent's figure_user depends on what is another one in child");
    ck_assert(same(in(child, "figure_user"), user));
    ck_assert_int_eq(INHERIT("figure_each"), ERR_OK);
    ck_assert_str_eq(report.text, "figure_each has static data in child, which would be lost");
    check_use(&start);
}
END_TEST

/* In one transaction: figure_a becomes another one, which refers to what is inherited again. */
START_TEST(a_set_may_be_given_up_in_part)
{
    struct swap_order order = {.namespace_ = child, .olds = 3, .objects = 3, .inherits = 2};

    ck_assert_msg(change("build/cells/figure_a_v2.o", 0) == ERR_OK, "%s", report.text);
    ck_assert_msg(change("build/cells/figure_c_v2.o", 0) == ERR_OK, "%s", report.text);
    order.old[0] = in(child, "figure_a"), order.old[1] = in(child, "figure_c"), order.old[2] = in(child, "figure_user");
    order.object[0] = stand_in_keep("build/cells/figure_a_v2.o"); /* which uses figure_c */
    order.object[1] = arena_cell(in(NAMESPACE_ROOT, "figure_c"))->object;
    order.object[2] = arena_cell(in(NAMESPACE_ROOT, "figure_user"))->object;
    ck_assert_msg(namespace_swap(&order, &report) == ERR_OK, "%s", report.text);
    loader_drop_object(order.object[0]);
    ck_assert(is_own(child, "figure_a") && !is_own(child, "figure_c") && !is_own(child, "figure_user"));
    ck_assert_uint_eq(reap_replaced(), 0);
    check_ways(child);
}
END_TEST

Suite *suite_hosted_inherit(void)
{
    Suite *s = suite_create("hosted inherit");
    TCase *t = tcase_create("inherit");

    tcase_add_checked_fixture(t, child_setup, child_teardown);
    tcase_add_test(t, a_child_may_lack_what_its_parent_has);
    tcase_add_test(t, what_is_needed_is_not_lacked);
    tcase_add_test(t, what_is_lacked_may_come_again);
    tcase_add_test(t, a_refused_absence_is_undone);
    tcase_add_test(t, what_is_held_may_be_given_up);
    tcase_add_test(t, the_log_says_whose_cells_were);
    tcase_add_test(t, all_that_is_held_may_be_given_up);
    tcase_add_test(t, what_depends_on_what_differs_is_not_given_up);
    tcase_add_test(t, a_set_may_be_given_up_in_part);
    suite_add_tcase(s, t);
    return s;
}
