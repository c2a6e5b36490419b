/* What a dry run shows: every section, dependent and reason to wait, also of a plan that is refused, no more of it than
 * there is room for; and it leaves nothing behind. */
#include "cells/core/arena/arena.h"
#include "cells/core/lifecycle/lifecycle.h"
#include "cells/core/loader/loader.h"
#include "cells/evolve/namespace/namespace.h"
#include "cells/evolve/plan/plan.h"
#include "cells/evolve/swap/swap.h"
#include "tests/hosted/stand_in.h"
#include <check.h>
#include <stdlib.h>
#include <string.h>

Suite *suite_hosted_preview(void);

enum { ROOM = 256 };

static struct plan_item item[ROOM + 1];
static struct preview preview;
static struct report report;

static void setup(void)
{
    stand_in_start();
    ck_assert_msg(stand_in_boot("build/delias.elf", "build/tests/guest.archive"), "%s", stand_in.printed);
    memset(item, 0xee, sizeof item);
    preview = (struct preview){.item = item, .room = ROOM};
}

static struct cell_ref load(const char *name)
{
    struct cell_ref cell;

    ck_assert_msg(loader_load(name, &cell, &report) == LOAD_OK, "%s", report.text);
    return cell;
}

static struct object_ref keep(const char *path)
{
    size_t bytes;
    uint8_t *data = stand_in_file(path, &bytes);
    struct object_ref object;

    ck_assert_msg(data && lifecycle_keep_object(data, bytes, &object, &report) == ERR_OK, "%s: %s", path, report.text);
    free(data);
    return object;
}

static enum err dry_run(struct cell_ref old, const char *path, const char *recipes_path)
{
    struct swap_order order = {
        .namespace_ = NAMESPACE_ROOT, .flags = SWAP_DRY_RUN, .olds = 1, .objects = 1, .preview = &preview};
    uint8_t *recipes = recipes_path ? stand_in_file(recipes_path, &order.recipe_bytes) : NULL;

    order.old[0] = old;
    order.object[0] = keep(path);
    order.recipes = recipes;
    enum err e = swap_cells(&order, &report);
    free(recipes);
    loader_drop_object(order.object[0]);
    return e;
}

/* The item of that kind about cell:name, or to a section of that name; NULL: there is none. */
static const struct plan_item *find(enum plan_kind kind, const char *name)
{
    for (uint32_t i = 0; i < preview.count && i < preview.room; i++)
        if (item[i].kind == kind &&
            strcmp(kind == PLAN_DEPENDENT || !item[i].name[0] ? item[i].to : item[i].name, name) == 0)
            return &item[i];
    return NULL;
}

static void check_treatment(const char *section, enum plan_section_treatment treatment)
{
    const struct plan_item *found = find(PLAN_SECTION, section);

    ck_assert_msg(found && found->treatment == treatment, "%s: %u, not %u", section, found ? found->treatment : 0,
                  treatment);
}

static uint64_t sum(enum plan_kind kind)
{
    uint64_t n = 0;

    for (uint32_t i = 0; i < preview.count; i++)
        n += item[i].kind == kind ? item[i].count : 0;
    return n;
}

START_TEST(everything_is_shown)
{
    struct cell_ref ledger = load("ledger");

    load("clerk");
    struct stand_in_use before = stand_in_use();
    ck_assert_msg(dry_run(ledger, "build/cells/ledger_v2.o", "build/tests/ledger.recipes") == ERR_OK, "%s",
                  report.text);
    ck_assert_uint_lt(preview.count, ROOM);
    ck_assert_uint_eq(item[0].kind, PLAN_CELL);
    ck_assert_str_eq(item[0].cell, "ledger");
    ck_assert_uint_eq(item[0].old_version, 1);
    ck_assert_uint_eq(item[0].new_version, 2);
    ck_assert(item[0].old_object && item[0].new_object && item[0].old_object != item[0].new_object);
    check_treatment(".data.books", PLAN_BY_RECIPE);
    check_treatment(".text.ledger_book", PLAN_OTHER);
    ck_assert(find(PLAN_QUIESCENCE, ".data.books"));
    const struct plan_item *book = find(PLAN_DEPENDENT, "ledger_book");
    ck_assert(book && strcmp(book->cell, "clerk") == 0 && strcmp(book->to_cell, "ledger") == 0);
    ck_assert_uint_eq(book->bytes, 4 * book->count);
    ck_assert_uint_gt(report.relocations, 0);
    ck_assert_uint_eq(sum(PLAN_DEPENDENT), report.relocations);
    struct stand_in_use after = stand_in_use();
    ck_assert_msg(stand_in_same_use(&before, &after), "%s", stand_in_difference(&before, &after));
}
END_TEST

START_TEST(refused_plans_are_shown_too)
{
    struct cell_ref ledger = load("ledger");

    ck_assert_int_eq(dry_run(ledger, "build/cells/ledger_v2.o", NULL), ERR_WRONG_TYPE);
    check_treatment(".data.books", PLAN_OTHER);
    check_treatment(".text.ledger_book", PLAN_OTHER);
    preview.count = 0; /* of another cell: refused before anything is loaded, so the versions are not known */
    load("channel");
    ck_assert_int_eq(dry_run(ledger, "build/cells/channel.o", NULL), ERR_EXISTS);
    ck_assert_uint_eq(preview.count, 2);
    ck_assert_uint_eq(item[0].new_object, 0);
    ck_assert_uint_eq(item[1].old_version + item[1].new_version, 0);
}
END_TEST

START_TEST(no_more_than_there_is_room_for)
{
    static const struct plan_item untouched;
    struct cell_ref ledger = load("ledger");

    memset(item, 0, sizeof item);
    preview.room = 5;
    ck_assert_int_eq(dry_run(ledger, "build/cells/ledger_v2.o", "build/tests/ledger.recipes"), ERR_OK);
    ck_assert_uint_gt(preview.count, 5);
    ck_assert_uint_ne(item[4].kind, 0);
    ck_assert_mem_eq(&item[5], &untouched, sizeof untouched);
}
END_TEST

START_TEST(copies_in_a_namespace_are_shown)
{
    struct swap_order order = {.flags = SWAP_DRY_RUN, .olds = 1, .objects = 1, .preview = &preview};

    load("figure_app");
    ck_assert_msg(namespace_branch(NAMESPACE_ROOT, "branch", NULL, &order.namespace_, &report) == ERR_OK, "%s",
                  report.text);
    order.old[0] = arena_cell_find(NAMESPACE_ROOT, "figure_c");
    order.object[0] = keep("build/cells/figure_c_v2.o");
    ck_assert_msg(namespace_swap(&order, &report) == ERR_OK, "%s", report.text);
    ck_assert_uint_eq(item[0].treatment, PLAN_CELL_SWAP);
    ck_assert_str_eq(item[0].cell, "branch/figure_c");
    ck_assert_uint_eq(item[0].old_version, 1);
    ck_assert_uint_eq(item[0].new_version, 2);
    size_t copies = 0;
    for (uint32_t i = 1; i < preview.count; i++) {
        copies += item[i].kind == PLAN_CELL && item[i].treatment == PLAN_CELL_COPY;
        if (item[i].treatment == PLAN_CELL_STAYS)
            ck_assert_str_eq(item[i].cell, "figure_once"); /* the root's */
    }
    ck_assert_uint_eq(copies, 3);
    ck_assert(same(arena_cell(arena_cell_find(order.namespace_, "figure_c"))->namespace_, NAMESPACE_ROOT));
}
END_TEST

Suite *suite_hosted_preview(void)
{
    Suite *s = suite_create("hosted preview");
    TCase *tc = tcase_create("preview");

    tcase_add_checked_fixture(tc, setup, NULL);
    tcase_add_test(tc, everything_is_shown);
    tcase_add_test(tc, refused_plans_are_shown_too);
    tcase_add_test(tc, no_more_than_there_is_room_for);
    tcase_add_test(tc, copies_in_a_namespace_are_shown);
    suite_add_tcase(s, tc);
    return s;
}
