/* What fails half-way leaves nothing: each allocation of an operation fails once, then the operation is done as if it
 * had never been tried (thesis §5.1). Cells here need each other in circles. */
#include "cells/core/arena/arena.h"
#include "cells/core/lifecycle/lifecycle.h"
#include "cells/core/loader/loader.h"
#include "cells/core/page/page.h"
#include "cells/evolve/namespace/namespace.h"
#include "cells/evolve/reap/reap.h"
#include "cells/evolve/plan/plan.h"
#include "cells/evolve/swap/swap.h"
#include "cells/memory/heap/heap.h"
#include "tests/hosted/audit.h"
#include "tests/hosted/craft.h"
#include "tests/hosted/stand_in.h"
#include <check.h>
#include <elf.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

Suite *suite_hosted_failure(void);

static struct report report;

/* ---- cells in circles ---- */

/* Cell `name` with function NAME_call, which calls itself and `need`, and with a pointer to that one in its data. */
static struct craft link_of(const char *name, const char *call, const char *need, uint32_t version)
{
    struct craft craft = craft_cell(name, version);
    uint32_t function = craft_function(&craft, call, ACCESS_APPLICATION), data = craft_data(&craft, "hook", 16, 5);
    uint32_t import = craft_import(&craft, need);

    craft_call(&craft, function, 0, import);
    craft_call(&craft, function, 1, function);
    craft_relocate(&craft, craft.symbol[data - 1].section, 0, R_X86_64_64, import, 0);
    craft_relocate(&craft, craft.symbol[data - 1].section, 8, R_X86_64_64, function, 0);
    return craft;
}

static void setup(void)
{
    const struct craft craft[] = {
        link_of("pair_a", "pair_a_call", "pair_b_call", 1), link_of("pair_b", "pair_b_call", "pair_a_call", 1),
        link_of("ring_a", "ring_a_call", "ring_b_call", 1), link_of("ring_b", "ring_b_call", "ring_c_call", 1),
        link_of("ring_c", "ring_c_call", "ring_a_call", 1), link_of("stray", "stray_call", "nobody_call", 1),
        link_of("lost", "lost_call", "stray_call", 1),
    };
    size_t bytes;
    uint8_t *archive = craft_archive("build/tests/guest.archive", craft, array_size(craft), &bytes);

    stand_in_start();
    ck_assert_msg(stand_in_boot_with("build/delias.elf", archive, bytes), "%s", stand_in.printed);
    free(archive);
}

static void check_arena(const char *when)
{
    const char *what = audit();

    ck_assert_msg(!what, "%s: %s", when, what);
}

static struct cell_ref cell_of(const char *name)
{
    struct cell_ref cell = arena_cell_find(NAMESPACE_ROOT, name);

    ck_assert_msg(cell.index && arena_cell(cell)->state == CELL_LIVE, "%s is not loaded", name);
    return cell;
}

/* The pointer at `offset` of the cell's data equals `function`. */
static void check_pointer(const char *cell, uint32_t offset, const char *function)
{
    uint64_t expected, found;

    ck_assert_int_eq(lifecycle_symbol(function, &expected), ERR_OK);
    memcpy(&found, (uint8_t *)page_direct(arena_cell(cell_of(cell))->data_phys) + offset, sizeof found);
    ck_assert_uint_eq(found, expected);
}

static void unload_together(const char *const *names, size_t count)
{
    struct cell_ref cells[4];

    for (size_t i = 0; i < count; i++) {
        cells[i] = cell_of(names[i]);
        ck_assert_int_eq(lifecycle_unload(cells[i]), ERR_BUSY);
    }
    ck_assert_uint_eq(lifecycle_unload_all(cells, count - 1), 0);
    for (size_t i = 0; i < count; i++)
        cells[i] = cell_of(names[i]);
    ck_assert_uint_eq(lifecycle_unload_all(cells, count), count);
}

static const char *const pair[] = {"pair_a", "pair_b"}, *const ring[] = {"ring_a", "ring_b", "ring_c"};

START_TEST(cells_that_need_each_other_come_and_go_together)
{
    struct stand_in_use before = stand_in_use();
    struct cell_ref cell;

    ck_assert_int_eq(loader_load("pair_a", &cell, &report), LOAD_OK);
    ck_assert(same(cell, cell_of("pair_a")));
    check_pointer("pair_a", 0, "pair_b_call");
    check_pointer("pair_b", 0, "pair_a_call");
    check_pointer("pair_b", 8, "pair_b_call");
    check_arena("pair");
    unload_together(pair, 2);
    for (size_t i = 0; i < 3; i++) { /* from wherever the circle is entered */
        ck_assert_int_eq(loader_load(ring[i], &cell, &report), LOAD_OK);
        check_pointer("ring_a", 0, "ring_b_call");
        check_pointer("ring_b", 0, "ring_c_call");
        check_pointer("ring_c", 0, "ring_a_call");
        check_arena("ring");
        unload_together(ring, 3);
        struct stand_in_use after = stand_in_use();
        ck_assert_msg(stand_in_same_use(&before, &after), "%s", stand_in_difference(&before, &after));
    }
}
END_TEST

/* The second cell of the batch lacks what it needs: the first one, which is complete, is unloaded too. */
START_TEST(missing_need_takes_the_batch_back)
{
    struct stand_in_use before = stand_in_use();
    uint64_t address;
    struct cell_ref cell;

    ck_assert_int_eq(loader_load("lost", &cell, &report), LOAD_UNFIT);
    ck_assert_int_eq(report.error, ERR_UNRESOLVED);
    ck_assert_str_eq(report.text, "stray: needs nobody_call, which no cell exports");
    ck_assert_int_eq(lifecycle_symbol("lost_call", &address), ERR_NOT_FOUND);
    check_arena("lost");
    struct stand_in_use after = stand_in_use();
    ck_assert_msg(stand_in_same_use(&before, &after), "%s", stand_in_difference(&before, &after));
}
END_TEST

/* ---- operations ---- */

struct operation {
    const char *name;
    void (*prepare)(void);
    enum err (*run)(void);
    void (*undo)(void);
    unsigned step; /* of the number of the allocation that fails */
};

static struct namespace_ref child;

static enum err load_ring(void)
{
    struct cell_ref cell;

    return loader_load("ring_a", &cell, &report) ? report.error : ERR_OK;
}

static void unload_ring(void)
{
    unload_together(ring, 3);
}

static enum err load_channel(void)
{
    struct cell_ref cell;

    return loader_load("channel", &cell, &report) ? report.error : ERR_OK;
}

/* In any order that edges allow; those of the image stay. */
static void unload_rest(void)
{
    struct cell_ref cells[ARENA_CELLS_BASE];
    size_t count = 0;

    for_each_cell (i)
        if (arena_cell(i)->check && !arena_in_image(arena_cell(i)))
            cells[count++] = i;
    ck_assert_uint_eq(lifecycle_unload_all(cells, count), count);
}

static struct cell_ref staged[2];

/* Two objects that need each other, and one of them a third, which the archive has. */
static enum err stage_pair(void)
{
    struct craft a = link_of("mutual_a", "mutual_a_call", "mutual_b_call", 1);
    struct craft b = link_of("mutual_b", "mutual_b_call", "mutual_a_call", 1);
    craft_call(&a, 1, 1, craft_import(&a, "ring_a_call"));
    struct object_ref object[2] = {craft_keep(&a)};
    enum err err = ERR_NOMEM;

    if (object[0].index)
        object[1] = craft_keep(&b);
    const struct loader_input input = {.namespace_ = NAMESPACE_ROOT, .object = object, .objects = 2};
    if (object[0].index && object[1].index)
        err = loader_stage(&input, staged, &report);
    for (int i = 0; i < 2 && err; i++)
        loader_drop_object(object[i]);
    return err;
}

static void unstage_pair(void)
{
    lifecycle_unstage(staged, 2);
}

static void load_ledger(void)
{
    struct cell_ref cell;

    ck_assert_msg(loader_load("ledger", &cell, &report) == LOAD_OK, "%s", report.text);
}

static struct plan_item shown[8]; /* fewer than there are */

static enum err swap_ledger(const char *path, const char *recipes_path, unsigned flags)
{
    struct preview preview = {.item = shown, .room = array_size(shown)};
    struct swap_order order = {
        .namespace_ = NAMESPACE_ROOT, .flags = flags, .olds = 1, .objects = 1, .preview = &preview};
    size_t bytes = 0;
    uint8_t *recipes = recipes_path ? stand_in_file(recipes_path, &bytes) : NULL;

    order.old[0] = cell_of("ledger");
    order.object[0] = stand_in_keep(path);
    order.recipes = recipes;
    order.recipe_bytes = bytes;
    enum err err = order.object[0].index ? swap_cells(&order, &report) : ERR_NOMEM;
    free(recipes);
    return err;
}

static enum err plan_ledger(void)
{
    return swap_ledger("build/cells/ledger_v2.o", "build/tests/ledger.recipes", SWAP_DRY_RUN);
}

static enum err change_ledger(void)
{
    return swap_ledger("build/cells/ledger_v2.o", "build/tests/ledger.recipes", 0);
}

static void change_ledger_back(void)
{
    (void)reap_replaced();
    ck_assert_msg(swap_ledger("build/cells/ledger.o", NULL, SWAP_FRESH_DATA) == ERR_OK, "%s", report.text);
    ck_assert_uint_eq(reap_replaced(), 0);
}

static enum err reload_ledger(void)
{
    return swap_reload(NAMESPACE_ROOT, "ledger", 0, &report);
}

static void nothing(void)
{
    (void)reap_replaced();
}

static enum err branch(void)
{
    return namespace_branch(NAMESPACE_ROOT, "branch", NULL, &child, &report);
}

static void remove_branch(void)
{
    ck_assert_msg(namespace_remove(child, &report) == ERR_OK, "%s", report.text);
}

static void load_figure(void)
{
    struct cell_ref cell;

    ck_assert_msg(loader_load("figure_app", &cell, &report) == LOAD_OK, "%s", report.text);
    ck_assert_int_eq(branch(), ERR_OK);
}

/* Copies three cells that depend on it. */
static enum err change_figure(void)
{
    struct object_ref object = stand_in_keep("build/cells/figure_c_v2.o");

    if (!object.index)
        return ERR_NOMEM;
    enum err err = namespace_change(child, &object, 1, 0, &report);
    if (err)
        loader_drop_object(object);
    return err;
}

static void branch_anew(void)
{
    remove_branch();
    ck_assert_int_eq(branch(), ERR_OK);
}

static void change_figure_before(void)
{
    load_figure();
    ck_assert_msg(change_figure() == ERR_OK, "%s", report.text);
}

/* What only the namespace can have, or what reaches what is changed there. */
static enum err load_late(void)
{
    struct cell_ref cell;

    return namespace_load(child, "figure_late", &cell, &report);
}

static void unload_late(void)
{
    struct cell_ref cells[2] = {arena_cell_find(child, "figure_late"), cell_of("figure_late")};

    ck_assert_uint_eq(lifecycle_unload_all(cells, 2), 2);
}

static const struct operation operations[] = {
    {"load of a circle", NULL, load_ring, unload_ring, 1},
    {"load of a channel", NULL, load_channel, unload_rest, 29},
    {"stage", NULL, stage_pair, unstage_pair, 1},
    {"plan of a swap", load_ledger, plan_ledger, nothing, 1},
    {"swap with recipes", load_ledger, change_ledger, change_ledger_back, 1},
    {"reload", load_ledger, reload_ledger, nothing, 1},
    {"branch", NULL, branch, remove_branch, 1},
    {"change in a namespace", load_figure, change_figure, branch_anew, 1},
    {"load in a namespace", change_figure_before, load_late, unload_late, 1},
};

static void check_use(const struct operation *o, const struct stand_in_use *before, size_t failed, const char *when)
{
    const char *what = audit();

    heap_trim();
    struct stand_in_use now = stand_in_use();
    ck_assert_msg(!what, "%s, allocation %zu, %s: %s", o->name, failed, when, what);
    ck_assert_msg(stand_in_same_use(before, &now), "%s, allocation %zu, %s: %s", o->name, failed, when,
                  stand_in_difference(before, &now));
}

static void succeed(const struct operation *o, size_t failed)
{
    stand_in.calls = 0;
    enum err err = o->run();

    ck_assert_msg(err == ERR_OK, "%s after allocation %zu had failed: %s: %s", o->name, failed, err_text(err),
                  report.text);
    o->undo();
}

START_TEST(failed_allocations_leave_nothing)
{
    const struct operation *o = &operations[_i];
    size_t tried = 0, refused = 0;
    bool reached = true;

    if (o->prepare)
        o->prepare();
    succeed(o, 0);
    heap_trim();
    struct stand_in_use before = stand_in_use();
    for (size_t k = 1; reached; k += o->step) {
        stand_in.allocations = stand_in.calls = 0;
        stand_in.fail_at = k;
        enum err err = o->run();
        stand_in.fail_at = 0;
        reached = stand_in.allocations >= k;
        if (err) {
            ck_assert_msg(reached, "%s fails by itself: %s: %s", o->name, err_text(err), report.text);
            ck_assert_msg(err == ERR_NOMEM || err == ERR_FULL, "%s, allocation %zu: %s: %s", o->name, k, err_text(err),
                          report.text);
            check_use(o, &before, k, "failed");
            succeed(o, k);
        } else {
            o->undo(); /* it can do without */
        }
        check_use(o, &before, k, "taken back");
        tried += reached;
        refused += err != ERR_OK;
    }
    if (getenv("FAILURES"))
        printf("%s: %zu allocations failed, %zu times it was refused\n", o->name, tried, refused);
    ck_assert_uint_gt(refused, 0);
}
END_TEST

Suite *suite_hosted_failure(void)
{
    Suite *s = suite_create("hosted failure");
    TCase *circles = tcase_create("circles"), *failing = tcase_create("failing");

    tcase_add_checked_fixture(circles, setup, NULL);
    tcase_add_test(circles, cells_that_need_each_other_come_and_go_together);
    tcase_add_test(circles, missing_need_takes_the_batch_back);
    suite_add_tcase(s, circles);
    tcase_add_checked_fixture(failing, setup, NULL);
    tcase_add_loop_test(failing, failed_allocations_leave_nothing, 0, (int)array_size(operations));
    suite_add_tcase(s, failing);
    return s;
}
