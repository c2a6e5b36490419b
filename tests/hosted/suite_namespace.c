/* Namespaces: a branch shares, a change copies what depends on it, singletons stay, a refusal leaves nothing, and
 * removal gives everything back (thesis §8.3). Cells are those of figure 8.1, which tests/guest/tests/test_namespaces
 * runs. */
#include "cells/core/arena/arena.h"
#include "cells/core/lifecycle/lifecycle.h"
#include "cells/core/loader/loader.h"
#include "cells/evolve/namespace/namespace.h"
#include "cells/evolve/plan/plan.h"
#include "cells/evolve/reap/reap.h"
#include "cells/evolve/swap/swap.h"
#include "cells/memory/heap/heap.h"
#include "tests/hosted/child.h"
#include <check.h>
#include <stdio.h>
#include <string.h>

Suite *suite_hosted_namespace(void);

static enum err swap_in(struct namespace_ref namespace_, const char *name, const char *path)
{
    struct swap_order order = {.namespace_ = namespace_, .olds = 1, .objects = 1};

    order.old[0] = namespace_cell(namespace_, name);
    order.object[0] = stand_in_keep(path);
    ck_assert(order.old[0].index && order.object[0].index);
    stand_in.calls = 0;
    enum err err = namespace_swap(&order, &report);
    loader_drop_object(order.object[0]);
    return err;
}

START_TEST(a_branch_is_one_record)
{
    struct stand_in_use now = stand_in_use();

    ck_assert_uint_eq(now.records[ARENA_NAMESPACES], child_before.records[ARENA_NAMESPACES] + 1);
    now.records[ARENA_NAMESPACES]--;
    now.strings--;
    ck_assert_msg(stand_in_same_use(&child_before, &now), "%s", stand_in_difference(&child_before, &now));
    ck_assert(same(in(child, "figure_c"), in(NAMESPACE_ROOT, "figure_c")));
    ck_assert(same(namespace_find("child"), child));
    ck_assert(!namespace_cell(child, "nobody").index);
}
END_TEST

START_TEST(bad_branches_are_refused)
{
    static const struct {
        const char *name;
        struct namespace_ref parent;
        struct namespace_options options;
        enum err expected;
    } bad[] = {
        {"", {1}, {0}, ERR_INVALID},
        {"Upper", {1}, {0}, ERR_INVALID},
        {"two words", {1}, {0}, ERR_INVALID},
        {"a_name_of_more_than_31_characters", {1}, {0}, ERR_INVALID},
        {"child", {1}, {0}, ERR_EXISTS},
        {"other", {0}, {0}, ERR_NOT_FOUND},
        {"other", {5}, {0}, ERR_NOT_FOUND},
        {"other", {1}, {.cpu = 2}, ERR_RANGE},
        {"other", {1}, {.flags = 2}, ERR_INVALID},
    };
    struct stand_in_use start = stand_in_use();
    struct namespace_ref made;

    for (size_t i = 0; i < array_size(bad); i++) {
        memset(&report, 0, sizeof report);
        ck_assert_int_eq(namespace_branch(bad[i].parent, bad[i].name, &bad[i].options, &made, &report),
                         bad[i].expected);
        ck_assert_str_ne(report.text, "");
    }
    check_use(&start);
    for (unsigned i = 0; i < ARENA_NAMESPACES_BASE; i++) { /* until the table is full */
        char name[16];
        snprintf(name, sizeof name, "more%u", i);
        enum err err = namespace_branch(NAMESPACE_ROOT, name, NULL, &made, &report);
        ck_assert_int_eq(err, i < ARENA_NAMESPACES_BASE - 3 ? ERR_OK : ERR_FULL);
    }
    for_each_namespace (namespace_)
        if (!same(namespace_, NAMESPACE_ROOT) && !same(namespace_, child))
            ck_assert_int_eq(namespace_remove(namespace_, &report), ERR_OK);
    check_use(&start);
}
END_TEST

START_TEST(a_change_copies_what_depends_on_it)
{
    static const char *const copied[] = {"figure_c", "figure_user", "figure_each", "figure_app"};
    static const char *const shared[] = {"figure_a", "figure_b", "figure_once", "scheduler"};
    struct cell_ref of_root = in(NAMESPACE_ROOT, "figure_c");
    uint64_t here, there;

    ck_assert_msg(change("build/cells/figure_c_v2.o", 0) == ERR_OK, "%s", report.text);
    for (size_t i = 0; i < array_size(copied); i++)
        ck_assert_msg(is_own(child, copied[i]) && is_own(NAMESPACE_ROOT, copied[i]), "%s", copied[i]);
    for (size_t i = 0; i < array_size(shared); i++)
        ck_assert_msg(same(in(child, shared[i]), in(NAMESPACE_ROOT, shared[i])), "%s", shared[i]);
    ck_assert_ptr_nonnull(strstr(report.text, "stay: figure_once"));
    ck_assert_uint_eq(report.result, in(child, "figure_c").index);
    ck_assert(same(in(NAMESPACE_ROOT, "figure_c"), of_root));
    ck_assert_uint_eq(stand_in.calls, 1); /* the init function of figure_each's copy */
    ck_assert_int_eq(lifecycle_symbol_in(child, "figure_c", &here), ERR_OK);
    ck_assert_int_eq(lifecycle_symbol("figure_c", &there), ERR_OK);
    ck_assert(same(arena_cell_at(here), in(child, "figure_c")));
    ck_assert(same(arena_cell_at(there), of_root));
    check_ways(child);
}
END_TEST

START_TEST(a_dry_run_changes_nothing)
{
    struct stand_in_use start = stand_in_use();

    ck_assert_msg(change("build/cells/figure_c_v2.o", NAMESPACE_DRY_RUN) == ERR_OK, "%s", report.text);
    ck_assert_ptr_nonnull(strstr(report.text, "figure_user"));
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
        ck_assert_msg(err == bad[i].expected && strstr(report.text, bad[i].said), "%s: %s: %s", bad[i].path,
                      err_text(err), report.text);
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

/* What the child holds itself is swapped, under the same order as what it inherits (a_set_may_be_held_in_part). */
START_TEST(swaps_keep_to_the_child)
{
    ck_assert_msg(swap_in(child, "figure_c", "build/cells/figure_c_v2.o") == ERR_OK, "%s", report.text);
    ck_assert_uint_eq(arena_cell(in(child, "figure_c"))->version, 2);
    ck_assert_msg(swap_in(child, "figure_c", "build/cells/figure_c.o") == ERR_OK, "%s", report.text);
    ck_assert_uint_eq(arena_cell(in(child, "figure_c"))->version, 1);
    ck_assert_uint_eq(reap_replaced(), 0);
    check_ways(child);
}
END_TEST

/* ---- sets of which the child holds a part ---- */

static struct plan_item item[64];
static struct preview preview; /* of the last dry run of a set */

static uint32_t treatment_of(const char *cell)
{
    for (uint32_t i = 0; i < preview.count && i < preview.room; i++)
        if (item[i].kind == PLAN_CELL && strcmp(item[i].cell, cell) == 0)
            return item[i].treatment;
    ck_abort_msg("the plan has no %s", cell);
}

/* Whether the newest swap of the cell in the log says that the old one was another namespace's. */
static bool was_inherited(const char *cell)
{
    for (uint64_t seq = arena_header()->change_seq; seq; seq--) {
        const struct arena_change *c = arena_record(ARENA_CHANGES, arena_ring_index(seq, ARENA_CHANGES_MAX));
        if (strcmp(c->cell, cell) == 0)
            return c->old_side == CHANGE_INHERITED;
    }
    ck_abort_msg("no swap of %s is logged", cell);
}

/* Swaps cells of the child, in one transaction, to objects of the same names. */
static enum err swap_set(unsigned flags, size_t count, const char *const *names, const char *const *paths)
{
    struct swap_order order = {.namespace_ = child, .flags = flags, .olds = count, .objects = count};

    preview = (struct preview){.item = item, .room = array_size(item)};
    order.preview = flags & SWAP_DRY_RUN ? &preview : NULL;
    for (size_t i = 0; i < count; i++) {
        order.old[i] = namespace_cell(child, names[i]);
        order.object[i] = stand_in_keep(paths[i]);
        ck_assert(order.old[i].index && order.object[i].index);
    }
    stand_in.calls = 0;
    enum err err = namespace_swap(&order, &report);
    for (size_t i = 0; i < count; i++)
        loader_drop_object(order.object[i]);
    return err;
}

/* Held by the child after a change of figure_b: it, and figure_app. Inherited: figure_c and what uses that. */
START_TEST(a_set_may_be_held_in_part)
{
    static const char *const names[] = {"figure_b", "figure_c"};
    static const char *const there[] = {"build/cells/figure_b.o", "build/cells/figure_c_v2.o"};
    static const char *const back[] = {"build/cells/figure_b_v2.o", "build/cells/figure_c.o"};
    struct cell_ref roots[] = {in(NAMESPACE_ROOT, "figure_b"), in(NAMESPACE_ROOT, "figure_c"),
                               in(NAMESPACE_ROOT, "figure_user"), in(NAMESPACE_ROOT, "figure_app")};

    ck_assert_msg(change("build/cells/figure_b_v2.o", 0) == ERR_OK, "%s", report.text);
    struct cell_ref app = in(child, "figure_app");
    ck_assert(is_own(child, "figure_b") && is_own(child, "figure_app") && !is_own(child, "figure_c"));
    ck_assert_msg(swap_set(0, 2, names, there) == ERR_OK, "%s", report.text);
    ck_assert_uint_eq(version_of(child, "figure_b"), 1);
    ck_assert_uint_eq(version_of(child, "figure_c"), 2);
    ck_assert(is_own(child, "figure_c") && is_own(child, "figure_user") && is_own(child, "figure_each"));
    ck_assert(!was_inherited("figure_b") && was_inherited("figure_c") && was_inherited("figure_user"));
    ck_assert(same(in(child, "figure_app"), app)); /* it was there, and its edges are redirected */
    ck_assert_uint_eq(stand_in.calls, 1);          /* the init function of figure_each's copy */
    ck_assert(arena_cell(in(child, "figure_each"))->initialized == CELL_INIT_DONE);
    ck_assert_ptr_nonnull(strstr(report.text, "copied: "));
    ck_assert_ptr_nonnull(strstr(report.text, "stay: figure_once"));
    ck_assert_uint_eq(reap_replaced(), 0);
    check_ways(child);
    for (size_t i = 0; i < array_size(roots); i++)
        ck_assert_uint_eq(arena_cell(roots[i])->state, CELL_LIVE);
    ck_assert(same(in(NAMESPACE_ROOT, "figure_c"), roots[1]) && version_of(NAMESPACE_ROOT, "figure_b") == 1);
    ck_assert_msg(swap_set(0, 2, names, back) == ERR_OK, "%s", report.text); /* all of it is the child's now */
    ck_assert_uint_eq(version_of(child, "figure_b") + 10 * version_of(child, "figure_c"), 12);
    ck_assert_uint_eq(reap_replaced(), 0);
    check_ways(child);
}
END_TEST

static const struct {
    const char *other, *said; /* another object than figure_c_v2.o */
    enum err expected;
} bad_parts[] = {
    {"build/cells/figure_c_v3.o", "figure_c_more", ERR_UNRESOLVED},
    {"build/cells/figure_c_v4.o", "PER_NAMESPACE()", ERR_REFUSED},
    {"build/cells/figure_c_v5.o", "figure_c_more has another type", ERR_WRONG_TYPE},
    {"build/cells/figure_c_v2.o", "its init function", ERR_INIT_FAILED},
};

START_TEST(a_refused_part_refuses_the_set)
{
    const char *const names[] = {"figure_b", "figure_c"};
    const char *const paths[] = {"build/cells/figure_b.o", bad_parts[_i].other};

    ck_assert_msg(change("build/cells/figure_b_v2.o", 0) == ERR_OK, "%s", report.text);
    heap_trim();
    struct stand_in_use start = stand_in_use();
    if (bad_parts[_i].expected == ERR_INIT_FAILED)
        stand_in.call_result = ERR_IO; /* of figure_each's copy */
    enum err err = swap_set(0, 2, names, paths);
    stand_in.call_result = ERR_OK;
    ck_assert_msg(err == bad_parts[_i].expected && strstr(report.text, bad_parts[_i].said), "%s: %s", err_text(err),
                  report.text);
    ck_assert_uint_eq(version_of(child, "figure_b"), 2);
    ck_assert(!is_own(child, "figure_c") && !is_own(child, "figure_user"));
    check_ways(child);
    check_use(&start);
}
END_TEST

START_TEST(a_dry_run_of_a_part_changes_nothing)
{
    static const char *const names[] = {"figure_b", "figure_c"};
    static const char *const paths[] = {"build/cells/figure_b.o", "build/cells/figure_c_v2.o"};

    ck_assert_msg(change("build/cells/figure_b_v2.o", 0) == ERR_OK, "%s", report.text);
    heap_trim();
    struct stand_in_use start = stand_in_use();
    ck_assert_msg(swap_set(SWAP_DRY_RUN, 2, names, paths) == ERR_OK, "%s", report.text);
    ck_assert_uint_eq(stand_in.calls, 0);
    ck_assert_uint_eq(version_of(child, "figure_b"), 2);
    ck_assert(!is_own(child, "figure_c"));
    ck_assert(treatment_of("child/figure_b") == PLAN_CELL_SWAP && treatment_of("child/figure_c") == PLAN_CELL_SWAP);
    ck_assert_uint_eq(treatment_of("child/figure_user"), PLAN_CELL_COPY);
    check_use(&start);
}
END_TEST

/* A branch of the child uses what the child gets. */
START_TEST(branches_follow_a_set_held_in_part)
{
    static const char *const names[] = {"figure_b", "figure_c"};
    static const char *const paths[] = {"build/cells/figure_b.o", "build/cells/figure_c_v2.o"};
    struct namespace_ref inner;

    ck_assert_msg(change("build/cells/figure_b_v2.o", 0) == ERR_OK, "%s", report.text);
    ck_assert_int_eq(namespace_branch(child, "inner", NULL, &inner, &report), ERR_OK);
    ck_assert_msg(swap_in(inner, "figure_a", "build/cells/figure_a_v2.o") == ERR_OK, "%s", report.text);
    ck_assert(is_own(inner, "figure_a") && is_own(inner, "figure_app"));
    ck_assert_msg(swap_set(0, 2, names, paths) == ERR_OK, "%s", report.text);
    ck_assert(same(in(inner, "figure_c"), in(child, "figure_c")));
    ck_assert_uint_eq(version_of(inner, "figure_b"), 1);
    check_ways(inner);
    ck_assert_int_eq(namespace_remove(inner, &report), ERR_OK);
}
END_TEST

/* From now on the root's figure_a needs figure_c, of which the child has another version. */
START_TEST(children_follow_their_parent)
{
    ck_assert_msg(change("build/cells/figure_c_v2.o", 0) == ERR_OK, "%s", report.text);
    ck_assert(!is_own(child, "figure_a"));
    ck_assert_msg(swap_in(NAMESPACE_ROOT, "figure_a", "build/cells/figure_a_v2.o") == ERR_OK, "%s", report.text);
    ck_assert(is_own(child, "figure_a"));
    ck_assert_uint_eq(arena_cell(in(child, "figure_a"))->version, 2);
    check_ways(child);
    ck_assert_msg(swap_in(NAMESPACE_ROOT, "figure_a", "build/cells/figure_a.o") == ERR_OK, "%s", report.text);
    ck_assert_int_eq(namespace_remove(child, &report), ERR_OK);
    child = NO_NAMESPACE;
    ck_assert_uint_eq(reap_replaced(), 0);
    ck_assert_uint_eq(namespace_reap(), 0);
    child_keep(); /* figure_a is of an object of its own now */
    ck_assert_uint_eq(child_before.records[ARENA_NAMESPACES], 1);
}
END_TEST

START_TEST(a_branch_of_a_branch_sees_through_both)
{
    struct namespace_ref inner;

    ck_assert_msg(change("build/cells/figure_c_v2.o", 0) == ERR_OK, "%s", report.text);
    ck_assert_int_eq(namespace_branch(child, "inner", NULL, &inner, &report), ERR_OK);
    ck_assert(same(in(inner, "figure_c"), in(child, "figure_c")));
    ck_assert(same(in(inner, "figure_a"), in(NAMESPACE_ROOT, "figure_a")));
    ck_assert_msg(swap_in(inner, "figure_b", "build/cells/figure_b_v2.o") == ERR_OK, "%s", report.text);
    ck_assert(is_own(inner, "figure_b") && is_own(inner, "figure_app") && !is_own(inner, "figure_c"));
    check_ways(inner);
    ck_assert_int_eq(namespace_remove(child, &report), ERR_BUSY);
    ck_assert_str_eq(report.text, "inner is a branch of child; remove it first");
    ck_assert_int_eq(namespace_remove(inner, &report), ERR_OK);
    ck_assert_int_eq(namespace_remove(NAMESPACE_ROOT, &report), ERR_REFUSED);
    ck_assert_int_eq(namespace_remove(inner, &report), ERR_NOT_FOUND);
}
END_TEST

START_TEST(what_is_held_goes_when_it_is_let_go)
{
    ck_assert_msg(change("build/cells/figure_c_v2.o", 0) == ERR_OK, "%s", report.text);
    stand_in.held = true;
    ck_assert_int_eq(namespace_remove(child, &report), ERR_OK);
    ck_assert_str_eq(report.text, "its memory is freed when nothing holds it");
    ck_assert(!namespace_find("child").index);
    ck_assert_uint_eq(namespace_reap(), 1);
    stand_in.held = false;
    ck_assert_uint_eq(namespace_reap(), 0);
    child = NO_NAMESPACE;
}
END_TEST

/* Attempts to free what is held cost a small share of the time, however often there is a call. */
START_TEST(what_is_held_is_not_looked_for_all_the_time)
{
    enum { CALLS = 1000 };

    ck_assert_msg(change("build/cells/figure_c_v2.o", 0) == ERR_OK, "%s", report.text);
    stand_in.held = true;
    ck_assert_int_eq(namespace_remove(child, &report), ERR_OK);
    stand_in.clock_ns = 1000000000;
    stand_in.searches = 0;
    for (int i = 0; i < CALLS; i++)
        namespace_reap_in_background();
    ck_assert_uint_ge(stand_in.searches, 2);
    ck_assert_uint_le(stand_in.searches, CALLS / 20);
    stand_in.held = false;
    for (int i = 0; i < CALLS; i++)
        namespace_reap_in_background();
    ck_assert_uint_ne(arena_namespace(child)->state, NAMESPACE_REMOVED); /* its record is free */
    child = NO_NAMESPACE;
}
END_TEST

/* By name: from the archive for all, with a copy where it reaches what is changed, and apart where only the child has
 * what it needs. */
START_TEST(loads_go_where_they_are_of_use)
{
    struct cell_ref cell;

    ck_assert_msg(change("build/cells/figure_c_v2.o", 0) == ERR_OK, "%s", report.text);
    ck_assert_msg(namespace_load(child, "figure_late", &cell, &report) == ERR_OK, "%s", report.text);
    ck_assert(is_own(child, "figure_late") && is_own(NAMESPACE_ROOT, "figure_late"));
    ck_assert(same(cell, in(child, "figure_late")));
    ck_assert_int_eq(namespace_load(child, "figure_more", &cell, &report), ERR_UNRESOLVED);
    ck_assert_msg(swap_in(child, "figure_b", "build/cells/figure_b_v2.o") == ERR_OK, "%s", report.text);
    ck_assert_msg(namespace_load(child, "figure_more", &cell, &report) == ERR_OK, "%s", report.text);
    ck_assert(is_own(child, "figure_more"));
    ck_assert(!namespace_cell(NAMESPACE_ROOT, "figure_more").index);
    ck_assert_int_eq(namespace_load(child, "no_such_cell", &cell, &report), ERR_NOT_FOUND);
    check_ways(child);
    ck_assert_int_eq(namespace_remove(child, &report), ERR_OK);
    child = NO_NAMESPACE;
    ck_assert_int_eq(lifecycle_unload(in(NAMESPACE_ROOT, "figure_late")), ERR_OK);
}
END_TEST

/* The file figure_a_v2.o has a version of cell figure_a, which the root has; nobody has a ledger. */
START_TEST(files_of_other_versions_are_no_cells)
{
    struct cell_ref cell = {}, figure = in(NAMESPACE_ROOT, "figure_a");

    ck_assert_int_eq(namespace_load(child, "figure_a_v2", &cell, &report), ERR_INVALID);
    ck_assert_str_eq(report.text, "figure_a_v2 is another version of cell figure_a");
    ck_assert(same(in(child, "figure_a"), figure));
    ck_assert_int_eq(namespace_load(child, "ledger_v2", &cell, &report), ERR_INVALID);
    ck_assert_int_eq(namespace_load(NAMESPACE_ROOT, "ledger_v2", &cell, &report), ERR_INVALID);
    ck_assert(!namespace_cell(NAMESPACE_ROOT, "ledger").index);
    ck_assert(!cell.index);
}
END_TEST

/* The child has a cell of its own: of its parent's cell of that name it sees nothing, not even what its own lacks. */
START_TEST(a_cell_hides_all_of_its_namesake)
{
    struct craft own = craft_cell("figure_a", 9), user = craft_cell("hidden_user", 1);
    uint64_t address;

    ck_assert_int_eq(lifecycle_symbol_in(child, "figure_a", &address), ERR_OK);
    ck_assert(same(arena_cell_at(address), in(NAMESPACE_ROOT, "figure_a")));
    craft_function(&own, "figure_a_other", ACCESS_LIBRARY);
    ck_assert_msg(load_into(child, &own) == ERR_OK, "%s", report.text);
    ck_assert_int_eq(lifecycle_symbol_in(child, "figure_a_other", &address), ERR_OK);
    ck_assert_int_eq(lifecycle_symbol_in(child, "figure_a", &address), ERR_NOT_FOUND);
    ck_assert_int_eq(lifecycle_symbol_in(NAMESPACE_ROOT, "figure_a", &address), ERR_OK);
    ck_assert_int_eq(lifecycle_symbol_in(NAMESPACE_ROOT, "figure_a_other", &address), ERR_NOT_FOUND);
    ck_assert_int_eq(lifecycle_symbol_in(child, "figure_b", &address), ERR_OK); /* of a cell that is not hidden */
    uint32_t function = craft_function(&user, "hidden_call", ACCESS_APPLICATION);
    craft_call(&user, function, 0, craft_import(&user, "figure_a"));
    ck_assert_int_eq(load_into(child, &user), ERR_UNRESOLVED);
    ck_assert_msg(strstr(report.text, "figure_a"), "%s", report.text);
}
END_TEST

/* What takes the place of an inherited cell begins like a new one: its transfer function takes nothing over. */
START_TEST(what_is_inherited_is_not_carried_over)
{
    struct craft away = craft_cell("away", 1), own = craft_cell("away", 2);
    struct swap_order order = {.namespace_ = child, .olds = 2, .objects = 2};

    craft_function(&away, "away_call", ACCESS_LIBRARY);
    craft_function(&own, "away_call", ACCESS_LIBRARY);
    own.cell.transfer = craft_function(&own, "away_transfer", 0);
    ck_assert_msg(load_into(NAMESPACE_ROOT, &away) == ERR_OK, "%s", report.text);
    ck_assert_msg(change("build/cells/figure_b_v2.o", 0) == ERR_OK, "%s", report.text);
    order.old[0] = in(child, "figure_b"), order.old[1] = in(child, "away");
    order.object[0] = stand_in_keep("build/cells/figure_b.o"), order.object[1] = craft_keep(&own);
    stand_in.calls = 0;
    ck_assert_msg(namespace_swap(&order, &report) == ERR_OK, "%s", report.text);
    ck_assert_uint_eq(stand_in.calls, 0);
    ck_assert(version_of(child, "away") == 2 && version_of(NAMESPACE_ROOT, "away") == 1);
    for (size_t i = 0; i < order.objects; i++)
        loader_drop_object(order.object[i]);
    ck_assert_int_eq(namespace_remove(child, &report), ERR_OK);
    child = NO_NAMESPACE;
    ck_assert_int_eq(lifecycle_unload(in(NAMESPACE_ROOT, "away")), ERR_OK);
}
END_TEST

Suite *suite_hosted_namespace(void)
{
    Suite *s = suite_create("hosted namespace");
    TCase *t = tcase_create("namespace");

    tcase_add_checked_fixture(t, child_setup, child_teardown);
    tcase_add_test(t, a_branch_is_one_record);
    tcase_add_test(t, bad_branches_are_refused);
    tcase_add_test(t, a_change_copies_what_depends_on_it);
    tcase_add_test(t, a_dry_run_changes_nothing);
    tcase_add_test(t, refusals_leave_nothing);
    tcase_add_test(t, swaps_keep_to_the_child);
    tcase_add_test(t, a_set_may_be_held_in_part);
    tcase_add_loop_test(t, a_refused_part_refuses_the_set, 0, array_size(bad_parts));
    tcase_add_test(t, a_dry_run_of_a_part_changes_nothing);
    tcase_add_test(t, branches_follow_a_set_held_in_part);
    tcase_add_test(t, children_follow_their_parent);
    tcase_add_test(t, a_branch_of_a_branch_sees_through_both);
    tcase_add_test(t, what_is_held_goes_when_it_is_let_go);
    tcase_add_test(t, what_is_held_is_not_looked_for_all_the_time);
    tcase_add_test(t, a_cell_hides_all_of_its_namesake);
    tcase_add_test(t, what_is_inherited_is_not_carried_over);
    tcase_add_test(t, loads_go_where_they_are_of_use);
    tcase_add_test(t, files_of_other_versions_are_no_cells);
    suite_add_tcase(s, t);
    return s;
}
