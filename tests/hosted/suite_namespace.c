/* Namespaces: a branch shares, a change copies what depends on it, singletons stay, a refusal leaves nothing, and removal
 * gives everything back (thesis §8.3). Cells are those of figure 8.1, which tests/guest/test_namespaces runs. */
#include "cells/kernel/arena/arena.h"
#include "cells/kernel/heap/heap.h"
#include "cells/kernel/loader/loader.h"
#include "cells/kernel/namespace/namespace.h"
#include "cells/kernel/swap/swap.h"
#include "tests/hosted/audit.h"
#include "tests/hosted/craft.h"
#include "tests/hosted/stand_in.h"
#include <check.h>
#include <stdio.h>
#include <string.h>

Suite *suite_hosted_namespace(void);

#define ROOT 1

static struct arena_completion report;
static struct loader_detail detail;
static struct stand_in_use before;
static uint32_t child;

static void setup(void)
{
    uint32_t cell;

    stand_in_start();
    ck_assert_msg(stand_in_boot("build/delias.elf", "build/tests/guest.archive"), "%s", stand_in.printed);
    ck_assert_msg(loader_load("figure_app", &cell, &detail) == ERR_OK, "%s", detail.text);
    heap_trim();
    before = stand_in_use();
    ck_assert_msg(namespace_branch(ROOT, "child", NULL, &child, &detail) == ERR_OK, "%s", detail.text);
}

static void check_use(const struct stand_in_use *expected)
{
    const char *what = audit();

    heap_trim();
    struct stand_in_use now = stand_in_use();
    ck_assert_msg(!what, "%s", what);
    ck_assert_msg(stand_in_same_use(expected, &now), "%s", stand_in_difference(expected, &now));
}

/* All tests end with nothing but what was there before the branch. */
static void teardown(void)
{
    stand_in.call_result = ERR_OK;
    if (child)
        ck_assert_msg(namespace_remove(child, &detail) == ERR_OK, "%s", detail.text);
    check_use(&before);
}

static enum err change(const char *path, unsigned flags)
{
    uint32_t object = stand_in_keep(path);

    ck_assert_uint_ne(object, 0);
    stand_in.calls = 0;
    enum err err = namespace_change(child, &object, 1, flags, &report);
    loader_drop_object(object);
    return err;
}

static enum err swap_in(uint32_t namespace_, const char *name, const char *path)
{
    struct swap_order order = {.namespace_ = namespace_, .olds = 1, .objects = 1};

    order.old[0] = namespace_cell(namespace_, name);
    order.object[0] = stand_in_keep(path);
    ck_assert(order.old[0] && order.object[0]);
    stand_in.calls = 0;
    enum err err = namespace_swap(&order, &report);
    loader_drop_object(order.object[0]);
    return err;
}

static uint32_t in(uint32_t namespace_, const char *name)
{
    uint32_t cell = namespace_cell(namespace_, name);

    ck_assert_msg(cell != 0, "there is no %s", name);
    return cell;
}

static bool is_own(uint32_t namespace_, const char *name)
{
    return arena_cell(in(namespace_, name))->namespace_ == namespace_;
}

/* From a cell of the child an edge leads to what the child has by that name; from any other, never to the child's. */
static void check_ways(uint32_t namespace_)
{
    size_t own = 0;

    for (uint32_t e = 1; e < arena_header()->table[ARENA_EDGES].used; e++) {
        if (!arena_edge(e)->check)
            continue;
        uint32_t from = arena_section(arena_edge(e)->from)->cell, to = arena_section(arena_edge(e)->to)->cell;
        const char *name = arena_string(arena_cell(to)->name);
        if (arena_cell(from)->namespace_ == namespace_)
            ck_assert_msg(namespace_cell(namespace_, name) == to, "%s leads to another %s",
                          arena_string(arena_cell(from)->name), name);
        else
            ck_assert_msg(arena_cell(to)->namespace_ != namespace_, "%s leads to the child's %s",
                          arena_string(arena_cell(from)->name), name);
        own += arena_cell(from)->namespace_ == namespace_;
    }
    ck_assert_uint_gt(own, 0);
}

START_TEST(a_branch_is_one_record)
{
    struct stand_in_use now = stand_in_use();

    ck_assert_uint_eq(now.records[ARENA_NAMESPACES], before.records[ARENA_NAMESPACES] + 1);
    now.records[ARENA_NAMESPACES]--;
    now.strings--;
    ck_assert_msg(stand_in_same_use(&before, &now), "%s", stand_in_difference(&before, &now));
    ck_assert_uint_eq(in(child, "figure_c"), in(ROOT, "figure_c"));
    ck_assert_uint_eq(namespace_find("child"), child);
    ck_assert_uint_eq(namespace_cell(child, "nobody"), 0);
}
END_TEST

START_TEST(bad_branches_are_refused)
{
    static const struct {
        const char *name;
        uint32_t parent;
        struct namespace_options options;
        enum err expected;
    } bad[] = {
        {"", ROOT, {0}, ERR_INVALID},
        {"Upper", ROOT, {0}, ERR_INVALID},
        {"two words", ROOT, {0}, ERR_INVALID},
        {"a_name_of_more_than_31_characters", ROOT, {0}, ERR_INVALID},
        {"child", ROOT, {0}, ERR_EXISTS},
        {"other", 0, {0}, ERR_NOT_FOUND},
        {"other", 5, {0}, ERR_NOT_FOUND},
        {"other", ROOT, {.cpu = 2}, ERR_RANGE},
        {"other", ROOT, {.flags = 2}, ERR_INVALID},
    };
    struct stand_in_use start = stand_in_use();
    uint32_t made;

    for (size_t i = 0; i < array_size(bad); i++) {
        memset(&detail, 0, sizeof detail);
        ck_assert_int_eq(namespace_branch(bad[i].parent, bad[i].name, &bad[i].options, &made, &detail),
                         bad[i].expected);
        ck_assert_str_ne(detail.text, "");
    }
    check_use(&start);
    for (unsigned i = 0; i < ARENA_NAMESPACES_MAX; i++) { /* until the table is full */
        char name[16];
        snprintf(name, sizeof name, "more%u", i);
        enum err err = namespace_branch(ROOT, name, NULL, &made, &detail);
        ck_assert_int_eq(err, i < ARENA_NAMESPACES_MAX - 3 ? ERR_OK : ERR_FULL);
    }
    for (uint32_t i = 1; i < ARENA_NAMESPACES_MAX; i++)
        if (i != ROOT && i != child)
            ck_assert_int_eq(namespace_remove(i, &detail), ERR_OK);
    check_use(&start);
}
END_TEST

START_TEST(a_change_copies_what_depends_on_it)
{
    static const char *const copied[] = {"figure_c", "figure_user", "figure_each", "figure_app"};
    static const char *const shared[] = {"figure_a", "figure_b", "figure_once", "scheduler"};
    uint32_t of_root = in(ROOT, "figure_c");
    uint64_t here, there;

    ck_assert_msg(change("build/cells/figure_c_v2.o", 0) == ERR_OK, "%s", report.detail);
    for (size_t i = 0; i < array_size(copied); i++)
        ck_assert_msg(is_own(child, copied[i]) && is_own(ROOT, copied[i]), "%s", copied[i]);
    for (size_t i = 0; i < array_size(shared); i++)
        ck_assert_msg(in(child, shared[i]) == in(ROOT, shared[i]), "%s", shared[i]);
    ck_assert_ptr_nonnull(strstr(report.detail, "stay: figure_once"));
    ck_assert_uint_eq(report.result, in(child, "figure_c"));
    ck_assert_uint_eq(in(ROOT, "figure_c"), of_root);
    ck_assert_uint_eq(stand_in.calls, 1); /* the init function of figure_each's copy */
    ck_assert_int_eq(loader_symbol_in(child, "figure_c", &here), ERR_OK);
    ck_assert_int_eq(loader_symbol("figure_c", &there), ERR_OK);
    ck_assert_uint_eq(arena_cell_at(here), in(child, "figure_c"));
    ck_assert_uint_eq(arena_cell_at(there), of_root);
    check_ways(child);
}
END_TEST

START_TEST(a_dry_run_changes_nothing)
{
    struct stand_in_use start = stand_in_use();

    ck_assert_msg(change("build/cells/figure_c_v2.o", NAMESPACE_DRY_RUN) == ERR_OK, "%s", report.detail);
    ck_assert_ptr_nonnull(strstr(report.detail, "figure_user"));
    ck_assert_uint_eq(stand_in.calls, 0);
    ck_assert(!is_own(child, "figure_c"));
    check_use(&start);
}
END_TEST

START_TEST(refusals_leave_nothing)
{
    static const struct {
        const char *path, *said;
        enum err expected;
    } bad[] = {
        {"build/cells/figure_c_v3.o", "figure_c_more", ERR_UNRESOLVED},
        {"build/cells/figure_c_v4.o", "PER_NAMESPACE()", ERR_REFUSED},
        {"build/cells/figure_c_v5.o", "figure_c_more has another type", ERR_WRONG_TYPE},
        {"build/cells/figure_once.o", "is a singleton", ERR_REFUSED},
        {"build/cells/string.o", "is a singleton", ERR_REFUSED}, /* of the image */
    };
    struct stand_in_use start = stand_in_use();

    for (size_t i = 0; i < array_size(bad); i++) {
        enum err err = change(bad[i].path, 0);
        ck_assert_msg(err == bad[i].expected && strstr(report.detail, bad[i].said), "%s: %s: %s", bad[i].path,
                      err_text(err), report.detail);
        check_use(&start);
    }
    stand_in.call_result = ERR_IO; /* of figure_each's copy, when half of the work is done */
    ck_assert_int_eq(change("build/cells/figure_c_v2.o", 0), ERR_INIT_FAILED);
    ck_assert_uint_eq(stand_in.calls, 1);
    check_use(&start);
    stand_in.call_result = ERR_OK;
    ck_assert_int_eq(change("build/cells/figure_c_v2.o", 0), ERR_OK);
    ck_assert_int_eq(change("build/cells/figure_c_v2.o", 0), ERR_EXISTS);
}
END_TEST

/* What the child holds itself is swapped; what it inherits, and what it does not, is not done at once, nor let go. */
START_TEST(swaps_keep_to_one_kind)
{
    struct swap_order order = {.namespace_ = child, .olds = 2};

    ck_assert_msg(swap_in(child, "figure_c", "build/cells/figure_c_v2.o") == ERR_OK, "%s", report.detail);
    ck_assert_uint_eq(arena_cell(in(child, "figure_c"))->version, 2);
    ck_assert_msg(swap_in(child, "figure_c", "build/cells/figure_c.o") == ERR_OK, "%s", report.detail);
    ck_assert_uint_eq(arena_cell(in(child, "figure_c"))->version, 1);
    ck_assert_uint_eq(swap_reap(), 0);
    check_ways(child);
    order.old[0] = in(child, "figure_c"), order.old[1] = in(child, "figure_a");
    ck_assert_int_eq(namespace_swap(&order, &report), ERR_UNSUPPORTED);
    ck_assert_ptr_nonnull(strstr(report.detail, "inherits others"));
    order.old[0] = in(child, "figure_b"), order.olds = 1;
    ck_assert_int_eq(namespace_swap(&order, &report), ERR_UNSUPPORTED);
    ck_assert_str_eq(report.detail, "child inherits figure_b: it can be another one there, but not go");
}
END_TEST

/* The root's figure_a comes to need figure_c, which is another one in the child. */
START_TEST(children_follow_their_parent)
{
    ck_assert_msg(change("build/cells/figure_c_v2.o", 0) == ERR_OK, "%s", report.detail);
    ck_assert(!is_own(child, "figure_a"));
    ck_assert_msg(swap_in(ROOT, "figure_a", "build/cells/figure_a_v2.o") == ERR_OK, "%s", report.detail);
    ck_assert(is_own(child, "figure_a"));
    ck_assert_uint_eq(arena_cell(in(child, "figure_a"))->version, 2);
    check_ways(child);
    ck_assert_msg(swap_in(ROOT, "figure_a", "build/cells/figure_a.o") == ERR_OK, "%s", report.detail);
    ck_assert_int_eq(namespace_remove(child, &detail), ERR_OK);
    child = 0;
    ck_assert_uint_eq(swap_reap(), 0);
    ck_assert_uint_eq(namespace_reap(), 0);
    heap_trim();
    before = stand_in_use(); /* figure_a is of an object of its own now */
    ck_assert_uint_eq(before.records[ARENA_NAMESPACES], 1);
}
END_TEST

START_TEST(a_branch_of_a_branch_sees_through_both)
{
    uint32_t inner;

    ck_assert_msg(change("build/cells/figure_c_v2.o", 0) == ERR_OK, "%s", report.detail);
    ck_assert_int_eq(namespace_branch(child, "inner", NULL, &inner, &detail), ERR_OK);
    ck_assert_uint_eq(in(inner, "figure_c"), in(child, "figure_c"));
    ck_assert_uint_eq(in(inner, "figure_a"), in(ROOT, "figure_a"));
    ck_assert_msg(swap_in(inner, "figure_b", "build/cells/figure_b_v2.o") == ERR_OK, "%s", report.detail);
    ck_assert(is_own(inner, "figure_b") && is_own(inner, "figure_app") && !is_own(inner, "figure_c"));
    check_ways(inner);
    ck_assert_int_eq(namespace_remove(child, &detail), ERR_BUSY);
    ck_assert_str_eq(detail.text, "inner is a branch of child; remove it first");
    ck_assert_int_eq(namespace_remove(inner, &detail), ERR_OK);
    ck_assert_int_eq(namespace_remove(ROOT, &detail), ERR_REFUSED);
    ck_assert_int_eq(namespace_remove(inner, &detail), ERR_NOT_FOUND);
}
END_TEST

START_TEST(what_is_held_goes_when_it_is_let_go)
{
    ck_assert_msg(change("build/cells/figure_c_v2.o", 0) == ERR_OK, "%s", report.detail);
    stand_in.held = true;
    ck_assert_int_eq(namespace_remove(child, &detail), ERR_OK);
    ck_assert_str_eq(detail.text, "its memory is freed when nothing holds it");
    ck_assert_uint_eq(namespace_find("child"), 0);
    ck_assert_uint_eq(namespace_reap(), 1);
    stand_in.held = false;
    ck_assert_uint_eq(namespace_reap(), 0);
    child = 0;
}
END_TEST

/* By name: from the archive for all, with a copy where it reaches what is changed, and apart where only the child has what
 * it needs. */
START_TEST(loads_go_where_they_are_of_use)
{
    uint32_t cell;

    ck_assert_msg(change("build/cells/figure_c_v2.o", 0) == ERR_OK, "%s", report.detail);
    ck_assert_msg(namespace_load(child, "figure_late", &cell, &detail) == ERR_OK, "%s", detail.text);
    ck_assert(is_own(child, "figure_late") && is_own(ROOT, "figure_late"));
    ck_assert_uint_eq(cell, in(child, "figure_late"));
    ck_assert_int_eq(namespace_load(child, "figure_more", &cell, &detail), ERR_UNRESOLVED);
    ck_assert_msg(swap_in(child, "figure_b", "build/cells/figure_b_v2.o") == ERR_OK, "%s", report.detail);
    ck_assert_msg(namespace_load(child, "figure_more", &cell, &detail) == ERR_OK, "%s", detail.text);
    ck_assert(is_own(child, "figure_more"));
    ck_assert_uint_eq(namespace_cell(ROOT, "figure_more"), 0);
    ck_assert_int_eq(namespace_load(child, "no_such_cell", &cell, &detail), ERR_NOT_FOUND);
    check_ways(child);
    ck_assert_int_eq(namespace_remove(child, &detail), ERR_OK);
    child = 0;
    ck_assert_int_eq(loader_unload(in(ROOT, "figure_late")), ERR_OK);
}
END_TEST

Suite *suite_hosted_namespace(void)
{
    Suite *s = suite_create("hosted namespace");
    TCase *t = tcase_create("namespace");

    tcase_set_timeout(t, 60);
    tcase_add_checked_fixture(t, setup, teardown);
    tcase_add_test(t, a_branch_is_one_record);
    tcase_add_test(t, bad_branches_are_refused);
    tcase_add_test(t, a_change_copies_what_depends_on_it);
    tcase_add_test(t, a_dry_run_changes_nothing);
    tcase_add_test(t, refusals_leave_nothing);
    tcase_add_test(t, swaps_keep_to_one_kind);
    tcase_add_test(t, children_follow_their_parent);
    tcase_add_test(t, a_branch_of_a_branch_sees_through_both);
    tcase_add_test(t, what_is_held_goes_when_it_is_let_go);
    tcase_add_test(t, loads_go_where_they_are_of_use);
    suite_add_tcase(s, t);
    return s;
}
