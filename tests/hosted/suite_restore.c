/* A child is restored to what it consisted of, whatever it and its parent have done since, after any sequence of swaps,
 * loads and unloads in both: what it holds is swapped, what it is to lack is hidden, and what the parent has is
 * inherited again. */
#include "cells/core/arena/arena.h"
#include "cells/core/lifecycle/lifecycle.h"
#include "cells/core/loader/loader.h"
#include "cells/evolve/namespace/namespace.h"
#include "cells/evolve/reap/reap.h"
#include "cells/evolve/swap/swap.h"
#include "tests/hosted/audit.h"
#include "tests/hosted/stand_in.h"
#include <check.h>
#include <stdio.h>
#include <string.h>

Suite *suite_hosted_restore(void);

enum { SEEDS = 8, STEPS = 60, VERSIONS = 6 };

/* The cells that steps change, and those that are copied with them. The last one is loaded and unloaded. */
static const struct {
    const char *name, *path[2];
} figures[] = {
    {"figure_a", {"build/cells/figure_a.o", "build/cells/figure_a_v2.o"}},
    {"figure_b", {"build/cells/figure_b.o", "build/cells/figure_b_v2.o"}},
    {"figure_c", {"build/cells/figure_c.o", "build/cells/figure_c_v2.o"}},
    {"figure_user", {"build/cells/figure_user.o"}},
    {"figure_each", {"build/cells/figure_each.o"}},
    {"figure_app", {"build/cells/figure_app.o"}},
    {"figure_late", {"build/cells/figure_late.o"}},
};
enum { FIGURES = sizeof figures / sizeof *figures, CHANGED = 3, LATE = FIGURES - 1 };

/* The version of each figure that a namespace has; 0: none. */
struct version {
    uint32_t of[FIGURES];
};

static struct report report;
static struct namespace_ref child;
static uint64_t state; /* of the sequence of numbers */

static unsigned number(unsigned below)
{
    state = state * 6364136223846793005 + 1442695040888963407;
    return (unsigned)(state >> 33) % below;
}

static struct cell_ref figure_in(struct namespace_ref namespace_, size_t i)
{
    return namespace_cell(namespace_, figures[i].name);
}

static struct version version_of(struct namespace_ref namespace_)
{
    struct version version = {{0}};

    for (size_t i = 0; i < FIGURES; i++) {
        struct cell_ref cell = figure_in(namespace_, i);
        version.of[i] = cell.index ? arena_cell(cell)->version : 0;
    }
    return version;
}

static bool is_version(struct namespace_ref namespace_, const struct version *version)
{
    struct version now = version_of(namespace_);

    return memcmp(&now, version, sizeof now) == 0;
}

/* ---- steps ---- */

static void add_old(struct swap_order *order, size_t i)
{
    order->old[order->olds++] = figure_in(order->namespace_, i);
}

static void add_object(struct swap_order *order, size_t i, uint32_t version)
{
    order->object[order->objects] = stand_in_keep(figures[i].path[version - 1]);
    ck_assert(order->object[order->objects++].index);
}

/* Those that the root has as they are to be, whether they differ or are copies. */
static void add_inherited(struct swap_order *order, const struct version *from, const struct version *to)
{
    struct version roots = version_of(NAMESPACE_ROOT);

    for (size_t i = 0; i < FIGURES; i++) {
        if (!to->of[i] || to->of[i] != roots.of[i])
            continue;
        if (from->of[i])
            add_old(order, i);
        add_object(order, i, to->of[i]);
        order->inherits++;
    }
}

/* Asks for a change of the figures in which `from` and `to` differ. With `inherit` those that the root has are to be
 * inherited. */
static enum err go(struct namespace_ref namespace_, const struct version *from, const struct version *to, bool inherit)
{
    struct swap_order order = {.namespace_ = namespace_};
    struct version roots = version_of(NAMESPACE_ROOT);

    for (size_t i = 0; i < FIGURES; i++) {
        if (from->of[i] == to->of[i] || (inherit && to->of[i] == roots.of[i] && to->of[i]))
            continue;
        if (from->of[i])
            add_old(&order, i);
        if (to->of[i])
            add_object(&order, i, to->of[i]);
    }
    if (inherit)
        add_inherited(&order, from, to);
    if (!order.olds && !order.objects)
        return ERR_OK;
    memset(&report, 0, sizeof report);
    enum err e = namespace_swap(&order, &report);
    for (size_t i = 0; i < order.objects; i++)
        loader_drop_object(order.object[i]);
    return e;
}

/* Swaps one figure, or several at once. */
static void swap_some(struct namespace_ref namespace_)
{
    struct version from = version_of(namespace_), to = from;

    for (size_t i = 0; i < CHANGED; i++)
        if (number(2))
            to.of[i] = 1 + number(2);
    enum err e = go(namespace_, &from, &to, same(namespace_, child) && number(2));
    ck_assert_msg(!e, "%s: %s", err_text(e), report.text);
    ck_assert(is_version(namespace_, &to));
}

static void load_or_unload(void)
{
    struct cell_ref cell = figure_in(NAMESPACE_ROOT, LATE);

    memset(&report, 0, sizeof report);
    if (cell.index)
        ck_assert_int_eq(lifecycle_unload(cell), ERR_OK);
    else
        ck_assert_msg(namespace_load(NAMESPACE_ROOT, figures[LATE].name, &cell, &report) == ERR_OK, "%s", report.text);
}

static void restore(const struct version *to)
{
    const struct version from = version_of(child), roots = version_of(NAMESPACE_ROOT);
    enum err e = go(child, &from, to, number(2));

    ck_assert_msg(!e, "%s: %s", err_text(e), report.text);
    ck_assert(is_version(NAMESPACE_ROOT, &roots));
    ck_assert(is_version(child, to));
}

static void check_sound(void)
{
    const char *wrong = audit();

    ck_assert_msg(!wrong, "%s", wrong);
    for_each_edge (e) {
        if (!arena_edge(e)->check)
            continue;
        const struct arena_cell *from = arena_cell(arena_section(arena_edge(e)->from)->cell);
        struct cell_ref to = arena_section(arena_edge(e)->to)->cell;
        const char *name = arena_string(arena_cell(to)->name);
        if (from->state == CELL_LIVE)
            ck_assert_msg(same(namespace_cell(from->namespace_, name), to), "%s refers to another %s",
                          arena_string(from->name), name);
    }
}

/* ---- all of it ---- */

static void setup(void)
{
    struct cell_ref cell;

    stand_in_start();
    ck_assert_msg(stand_in_boot("build/delias.elf", "build/tests/guest.archive"), "%s", stand_in.printed);
    ck_assert_msg(loader_load("figure_app", &cell, &report) == LOAD_OK, "%s", report.text);
    ck_assert_int_eq(namespace_branch(NAMESPACE_ROOT, "child", NULL, &child, &report), ERR_OK);
}

START_TEST(any_version_comes_back)
{
    struct version versions[VERSIONS];
    unsigned known = 0, restored = 0;

    state = (uint64_t)_i + 1;
    versions[known++] = version_of(child);
    for (int step = 0; step < STEPS; step++) {
        switch (number(6)) {
        case 0:
            swap_some(NAMESPACE_ROOT);
            break;
        case 1:
        case 2:
            swap_some(child);
            break;
        case 3:
            load_or_unload();
            break;
        case 4:
            versions[known < VERSIONS ? known++ : number(VERSIONS)] = version_of(child);
            break;
        default:
            restore(&versions[number(known)]);
            restored++;
        }
        check_sound();
    }
    ck_assert_uint_gt(restored, 0);
    ck_assert_uint_eq(reap_replaced(), 0);
    ck_assert_int_eq(namespace_remove(child, &report), ERR_OK);
    ck_assert_uint_eq(namespace_reap(), 0);
    for_each_cell (i)
        ck_assert(arena_cell(i)->state == CELL_FREE || same(arena_cell(i)->namespace_, NAMESPACE_ROOT));
    check_sound();
}
END_TEST

Suite *suite_hosted_restore(void)
{
    Suite *s = suite_create("hosted restore");
    TCase *t = tcase_create("restore");

    tcase_add_checked_fixture(t, setup, NULL);
    tcase_add_loop_test(t, any_version_comes_back, 0, SEEDS);
    suite_add_tcase(s, t);
    return s;
}
