/* Swaps, planned and carried out where no task runs: what is paired and carried, what is refused and by which words,
 * and that a dry run and a refusal leave everything as it was. Stacks, gates and parked CPUs are for tests/guest. */
#include "cells/core/arena/arena.h"
#include "cells/core/edge/edge.h"
#include "cells/core/lifecycle/lifecycle.h"
#include "cells/core/loader/loader.h"
#include "cells/core/page/page.h"
#include "cells/evolve/reap/reap.h"
#include "cells/evolve/swap/swap.h"
#include "cells/memory/heap/heap.h"
#include "guest/abi/layout.h"
#include "guest/abi/recipe.h"
#include "tests/hosted/audit.h"
#include "tests/hosted/craft.h"
#include "tests/hosted/loaded.h"
#include "tests/hosted/stand_in.h"
#include <check.h>
#include <elf.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

Suite *suite_hosted_swap(void);

static struct report report;
static struct swap_order order;

static void setup(void)
{
    stand_in_start();
    ck_assert_msg(stand_in_boot("build/delias.elf", "build/tests/guest.archive"), "%s", stand_in.printed);
    order = (struct swap_order){.namespace_ = NAMESPACE_ROOT};
}

static void teardown(void)
{
    const char *what = audit();

    ck_assert_msg(!what, "%s", what);
}

static void load(const char *name)
{
    struct cell_ref cell;

    ck_assert_msg(loader_load(name, &cell, &report) == LOAD_OK, "%s", report.text);
}

static void out(const char *name)
{
    order.old[order.olds++] = loaded_cell(name);
}

static void in(struct object_ref object)
{
    ck_assert(object.index);
    order.object[order.objects++] = object;
}

static enum err go(unsigned flags)
{
    order.flags = flags;
    stand_in.calls = 0;
    return swap_cells(&order, &report);
}

/* ---- cells of the build: two to one, one to two ---- */

START_TEST(cells_are_merged_and_split)
{
    const uint64_t calls = 11, total = 22;

    load("left");
    ck_assert(arena_cell_find(NAMESPACE_ROOT, "right").index);
    memcpy(loaded_bytes("left", ".bss.left_calls"), &calls, sizeof calls);
    memcpy(loaded_bytes("right", ".bss.right_total"), &total, sizeof total);
    out("left"), out("right"), in(stand_in_keep("build/cells/left_v2.o"));
    ck_assert_msg(go(0) == ERR_OK, "%s", report.text);
    ck_assert(!arena_cell_find(NAMESPACE_ROOT, "right").index);
    ck_assert_uint_eq(reap_replaced(), 0);
    ck_assert(same(arena_cell_at(loaded_address("right_twice")), loaded_cell("left")));
    ck_assert_uint_eq(loaded_word("left", ".bss.left_calls"), calls);
    ck_assert_uint_eq(loaded_word("left", ".bss.right_total"), total);
    ck_assert_uint_eq(loaded_word("left", ".data.left_ask"), loaded_address("right_twice"));
    order = (struct swap_order){.namespace_ = NAMESPACE_ROOT};
    out("left"), in(stand_in_keep("build/cells/left.o")), in(stand_in_keep("build/cells/right.o"));
    ck_assert_msg(go(0) == ERR_OK, "%s", report.text);
    ck_assert_uint_eq(reap_replaced(), 0);
    ck_assert_uint_eq(loaded_word("left", ".bss.left_calls"), calls);
    ck_assert_uint_eq(loaded_word("right", ".bss.right_total"), total);
    ck_assert_uint_eq(loaded_word("left", ".data.left_ask"), loaded_address("right_twice"));
    ck_assert(same(arena_cell_at(loaded_address("right_twice")), loaded_cell("right")));
}
END_TEST

#define IMAGE_BYTES (4ul << 20)

/* A copy of the records that a swap could change, and of the bytes of all cells. */
struct image {
    uint8_t *bytes;
    size_t used;
};

static void add_image(struct image *image, const void *data, size_t bytes)
{
    ck_assert_uint_le(bytes, IMAGE_BYTES - image->used);
    memcpy(image->bytes + image->used, data, bytes);
    image->used += bytes;
}

static struct image take_image(void)
{
    struct image image = {.bytes = malloc(IMAGE_BYTES)};

    ck_assert_ptr_nonnull(image.bytes);
    for_each_section (i) {
        const struct arena_section *s = arena_section(i);
        if (!s->check)
            continue;
        add_image(&image, s, offsetof(struct arena_section, first_in));
        add_image(&image, &s->outgoing, 2 * sizeof s->outgoing);
        add_image(&image, page_direct(s->phys), s->bytes);
    }
    for_each_cell (i)
        if (arena_cell(i)->check)
            add_image(&image, arena_cell(i), offsetof(struct arena_cell, indexed));
    return image;
}

START_TEST(a_dry_run_changes_nothing_and_says_what_would_be)
{
    load("ledger");
    size_t bytes;
    uint8_t *recipes = stand_in_file("build/tests/ledger.recipes", &bytes);
    heap_trim();
    struct stand_in_use use = stand_in_use();
    struct image image = take_image();
    out("ledger"), in(stand_in_keep("build/cells/ledger_v2.o"));
    order.recipes = recipes, order.recipe_bytes = bytes;
    ck_assert_msg(go(SWAP_DRY_RUN) == ERR_OK, "%s", report.text);
    uint64_t carried = report.transferred_bytes, rewritten = report.relocations;
    loader_drop_object(order.object[0]);
    heap_trim();
    struct stand_in_use now = stand_in_use();
    struct image after = take_image();
    ck_assert_msg(stand_in_same_use(&use, &now), "%s", stand_in_difference(&use, &now));
    ck_assert_uint_eq(image.used, after.used);
    ck_assert(memcmp(image.bytes, after.bytes, image.used) == 0);
    order.object[0] = stand_in_keep("build/cells/ledger_v2.o");
    ck_assert_msg(go(0) == ERR_OK, "%s", report.text);
    ck_assert_uint_gt(carried, 0);
    ck_assert_uint_eq(report.transferred_bytes, carried);
    ck_assert_uint_ge(report.relocations, rewritten);
    free(recipes);
    free(image.bytes);
    free(after.bytes);
}
END_TEST

static enum err try_recipes(const void *recipes, size_t bytes)
{
    order.recipes = recipes, order.recipe_bytes = bytes;
    order.object[0] = stand_in_keep("build/cells/ledger_v2.o");
    enum err err = go(SWAP_DRY_RUN);
    loader_drop_object(order.object[0]);
    return err;
}

/* A recipe for a function says that it has another name, and nothing else. */
START_TEST(a_function_has_one_new_name)
{
    load("ledger");
    size_t bytes;
    uint8_t *recipes = stand_in_file("build/tests/ledger.recipes", &bytes);
    struct recipe_set *set = (void *)recipes;
    struct recipe *recipe = (void *)(set + 1), *function = recipe;
    for (uint32_t i = 0; i < set->recipes; i++)
        if (!recipe[i].moves)
            function = &recipe[i];
    const struct recipe good = *function;
    out("ledger"), in(stand_in_keep("build/cells/ledger_v2.o"));
    loader_drop_object(order.object[0]);
    ck_assert_int_eq(try_recipes(recipes, bytes), ERR_OK);
    function->moves = 1;
    ck_assert_int_eq(try_recipes(recipes, bytes), ERR_CORRUPT);
    *function = good;
    function->new_section = good.new_section == 1 ? 2 : 1; /* a function that has a pair by its name */
    ck_assert_int_eq(try_recipes(recipes, bytes), ERR_CORRUPT);
    *function = good;
    function->new_type++;
    ck_assert_int_eq(try_recipes(recipes, bytes), ERR_CORRUPT);
    *function = good;
    function->new_object = function->new_section = 0;
    ck_assert_int_eq(try_recipes(recipes, bytes), ERR_CORRUPT);
    *function = good;
    function->old_object = 0; /* then it has none */
    ck_assert_int_eq(try_recipes(recipes, bytes), ERR_MISSING_SYMBOL);
    free(recipes);
}
END_TEST

START_TEST(recipes_are_believed_only_when_they_fit)
{
    load("ledger");
    size_t bytes;
    uint8_t *recipes = stand_in_file("build/tests/ledger.recipes", &bytes);
    struct stand_in_use use = stand_in_use();
    out("ledger"), in(stand_in_keep("build/cells/ledger_v2.o"));
    ck_assert_int_eq(go(0), ERR_WRONG_TYPE); /* without any */
    ck_assert_ptr_nonnull(strstr(report.text, "books"));
    for (size_t at = 0, step = 1; at < bytes; at += step) {
        recipes[at] ^= 0x41;
        order.recipes = recipes, order.recipe_bytes = bytes;
        order.object[0] = stand_in_keep("build/cells/ledger_v2.o");
        if (go(SWAP_DRY_RUN))
            ck_assert_str_ne(report.text, "");
        loader_drop_object(order.object[0]);
        recipes[at] ^= 0x41;
        struct stand_in_use now = stand_in_use();
        ck_assert_msg(stand_in_same_use(&use, &now), "byte %zu: %s", at, stand_in_difference(&use, &now));
        step = at < 96 ? 5 : 37;
    }
    free(recipes);
}
END_TEST

/* ---- cells made up: what is refused ---- */

/* Cell `unit`, which exports unit_one and unit_two and has two data, and a user of both functions and of a pointer. */
static struct craft unit_of(uint32_t version)
{
    struct craft craft = craft_cell("unit", version);
    uint32_t one = craft_function(&craft, "unit_one", ACCESS_LIBRARY);
    uint32_t two = craft_function(&craft, "unit_two", ACCESS_LIBRARY);
    uint32_t count = craft_data(&craft, "unit_count", 16, 5), hook = craft_data(&craft, "unit_hook", 8, 6);

    craft_call(&craft, one, 0, two);
    craft_relocate(&craft, craft.symbol[one - 1].section, 12, R_X86_64_PC32, count, 0);
    craft_relocate(&craft, craft.symbol[hook - 1].section, 0, R_X86_64_64, two, 0);
    return craft;
}

static void publish(const struct craft *craft)
{
    struct object_ref object = craft_keep(craft);
    struct cell_ref new_;
    const struct loader_input load = {.namespace_ = NAMESPACE_ROOT, .object = &object, .objects = 1};

    ck_assert_msg(object.index && loader_stage(&load, &new_, &report) == ERR_OK, "%s", report.text);
    lifecycle_publish(new_);
    ck_assert_int_eq(loader_initialize(new_, &report), ERR_OK);
}

static void setup_unit(void)
{
    struct craft unit = unit_of(1), user = craft_cell("user", 1);

    setup();
    uint32_t function = craft_function(&user, "user_call", ACCESS_APPLICATION);
    user.cell.kind = CELL_DRIVER;
    publish(&unit);
    craft_call(&user, function, 0, craft_import(&user, "unit_one"));
    craft_call(&user, function, 1, craft_import(&user, "unit_two"));
    publish(&user);
}

typedef void harm(struct craft *craft);

static void lack_symbol(struct craft *craft)
{
    craft->symbol[1].name = "unit_three";
}

static void change_type(struct craft *craft)
{
    craft->symbol[1].type_hash = 8;
}

static void take_access(struct craft *craft)
{
    craft->symbol[0].access = ACCESS_KERNEL;
}

static void change_size(struct craft *craft)
{
    craft->section[2].bytes = craft->symbol[2].size = 24;
}

static void change_data(struct craft *craft)
{
    craft->section[2].type_hash = 50;
}

static void change_behind(struct craft *craft)
{
    craft->section[2].deep_hash = 50;
}

static void lose_data(struct craft *craft)
{
    craft->section[2].name = craft->symbol[2].name = "unit_other";
}

static void need_missing(struct craft *craft)
{
    craft_call(craft, 2, 0, craft_import(craft, "unit_four"));
}

static void need_itself(struct craft *craft)
{
    craft->symbol[1].name = "unit_three";
    craft_call(craft, 1, 1, craft_import(craft, "unit_two"));
}

static void pretend_pages(struct craft *craft)
{
    craft_relocate(craft, craft->symbol[0].section, 0, R_X86_64_PC32, 3, INT64_MAX / 2);
}

static const struct {
    harm *harm;
    enum err expected;
    const char *said;
} harms[] = {
    {lack_symbol, ERR_MISSING_SYMBOL, "unit: unit_two is used by others, and the new version lacks it"},
    {change_type, ERR_WRONG_TYPE, "unit: unit_two has another type in the new version"},
    {take_access, ERR_NO_ACCESS, "unit: unit_one is no longer for all of the cells that use it"},
    {change_size, ERR_WRONG_TYPE, "unit: unit_count has another size or type, and there is no transfer function"},
    {change_data, ERR_WRONG_TYPE, "unit: unit_count has another size or type, and there is no transfer function"},
    {change_behind, ERR_WRONG_TYPE,
     "unit: unit_count refers to what has another type, and there is no transfer function"},
    {lose_data, ERR_MISSING_SYMBOL,
     "unit: unit_count would be lost: the new version lacks it, and has no transfer function"},
    {need_missing, ERR_UNRESOLVED, "unit: needs unit_four, which no cell exports"},
    {need_itself, ERR_UNRESOLVED, "unit: needs unit_two, which only cell unit exports, and that is hidden or to go"},
    {pretend_pages, ERR_BAD_RELOCATION, "unit: a relocation in unit_one does not reach unit_count"},
};

START_TEST(what_does_not_fit_is_refused_by_name)
{
    struct stand_in_use use = stand_in_use();
    struct craft craft = unit_of(2);
    struct image image = take_image();

    harms[_i].harm(&craft);
    out("unit"), in(craft_keep(&craft));
    enum err err = go(0);
    ck_assert_msg(err == harms[_i].expected, "%s: %s", err_text(err), report.text);
    ck_assert_str_eq(report.text, harms[_i].said);
    struct stand_in_use now = stand_in_use();
    struct image after = take_image();
    ck_assert_msg(stand_in_same_use(&use, &now), "%s", stand_in_difference(&use, &now));
    ck_assert(image.used == after.used && memcmp(image.bytes, after.bytes, image.used) == 0);
    free(image.bytes);
    free(after.bytes);
    craft = unit_of(2);
    order = (struct swap_order){.namespace_ = NAMESPACE_ROOT};
    out("unit"), in(craft_keep(&craft));
    ck_assert_msg(go(0) == ERR_OK, "%s", report.text);
    ck_assert_uint_eq(report.relocations, 2);
    ck_assert_uint_eq(arena_cell(loaded_cell("unit"))->version, 2);
    ck_assert_uint_eq(reap_replaced(), 0);
}
END_TEST

START_TEST(orders_that_make_no_sense_are_refused)
{
    struct craft craft = unit_of(2), other = craft_cell("other", 1);
    struct stand_in_use use = stand_in_use();

    craft_function(&other, "other_call", ACCESS_APPLICATION);
    ck_assert_int_eq(go(0), ERR_INVALID); /* of nothing */
    out("unit"), out("unit"), in(craft_keep(&craft));
    ck_assert_int_eq(go(0), ERR_INVALID);
    ck_assert_str_eq(report.text, "cell unit is to go twice");
    order = (struct swap_order){.namespace_ = NAMESPACE_ROOT};
    in(craft_keep(&craft));
    ck_assert_int_eq(go(0), ERR_EXISTS);
    order = (struct swap_order){.namespace_ = NAMESPACE_ROOT};
    in(craft_keep(&other)), in(craft_keep(&other));
    ck_assert_int_eq(go(0), ERR_EXISTS);
    ck_assert_str_eq(report.text, "two objects of cell other");
    order = (struct swap_order){.namespace_ = NAMESPACE_ROOT};
    out("nano_core");
    ck_assert_int_eq(go(0), ERR_NOT_SWAPPABLE);
    order = (struct swap_order){.namespace_ = {2}};
    out("unit");
    ck_assert_int_eq(go(0), ERR_NOT_FOUND);
    order = (struct swap_order){.namespace_ = NAMESPACE_ROOT};
    out("unit"); /* a removal, while it is used */
    ck_assert_int_eq(go(0), ERR_MISSING_SYMBOL);
    struct stand_in_use now = stand_in_use();
    ck_assert_msg(stand_in_same_use(&use, &now), "%s", stand_in_difference(&use, &now));
    order = (struct swap_order){.namespace_ = NAMESPACE_ROOT};
    out("user"), out("unit"); /* both: nobody is left who uses them */
    ck_assert_msg(go(SWAP_FRESH_DATA) == ERR_OK, "%s", report.text);
    (void)reap_replaced(); /* the user goes first */
    ck_assert_uint_eq(reap_replaced(), 0);
    ck_assert(!arena_cell_find(NAMESPACE_ROOT, "unit").index);
}
END_TEST

/* A stored pointer is redirected to the pair of what it pointed to; any other word stays as it is. */
START_TEST(stored_pointers_are_redirected)
{
    struct craft craft = unit_of(2);
    uint64_t one = loaded_address("unit_one");
    struct section_ref section = arena_section_at(arena_cell(loaded_cell("unit"))->data_virt);
    void *slot = (void *)(arena_section(section)->virt + 8);

    ck_assert_int_eq(edge_bind(slot, (void *)one), ERR_OK);
    out("unit"), in(craft_keep(&craft));
    ck_assert_msg(go(0) == ERR_OK, "%s", report.text);
    ck_assert_uint_eq(loaded_word("unit", "unit_hook"), loaded_address("unit_two"));
    uint64_t found;
    memcpy(&found, loaded_bytes("unit", "unit_count") + 8, sizeof found);
    ck_assert_uint_ne(loaded_address("unit_one"), one);
    ck_assert_uint_eq(found, loaded_address("unit_one"));
    ck_assert_uint_eq(reap_replaced(), 0);
}
END_TEST

/* What code has stored there itself, which no record knows of: heads of lists, and the like. */
START_TEST(pointers_to_own_data_are_carried)
{
    struct craft craft = unit_of(2);
    uint64_t count = arena_section(loaded_section("unit", "unit_count"))->virt;
    uint64_t hook = arena_section(loaded_section("unit", "unit_hook"))->virt;
    uint64_t words[] = {count + 8, hook + 4}, found[2];

    memcpy(loaded_bytes("unit", "unit_count"), words, sizeof words);
    out("unit"), in(craft_keep(&craft));
    ck_assert_msg(go(0) == ERR_OK, "%s", report.text);
    memcpy(found, loaded_bytes("unit", "unit_count"), sizeof found);
    ck_assert_uint_ne(arena_section(loaded_section("unit", "unit_count"))->virt, count);
    ck_assert_uint_eq(found[0], arena_section(loaded_section("unit", "unit_count"))->virt + 8);
    ck_assert_uint_eq(found[1], arena_section(loaded_section("unit", "unit_hook"))->virt + 4);
    ck_assert_uint_eq(reap_replaced(), 0);
    words[0] = found[0] - 8 - 1, words[1] = LAYOUT_CELL_VIRT; /* to nothing of the cell */
    memcpy(loaded_bytes("unit", "unit_count"), words, sizeof words);
    order = (struct swap_order){.namespace_ = NAMESPACE_ROOT};
    out("unit"), in(craft_keep(&craft));
    ck_assert_msg(go(0) == ERR_OK, "%s", report.text);
    memcpy(found, loaded_bytes("unit", "unit_count"), sizeof found);
    ck_assert_uint_eq(found[1], LAYOUT_CELL_VIRT);
    ck_assert_uint_eq(reap_replaced(), 0);
}
END_TEST

/* A pointer where the old version has other data, of the same type as far as is known. */
START_TEST(pointers_of_the_new_version_are_its_own)
{
    struct craft craft = unit_of(2);
    uint64_t found[2];

    memset(loaded_bytes("unit", "unit_count"), 0x11, 16);
    craft_relocate(&craft, craft.symbol[2].section, 8, R_X86_64_64, 1, 4);
    out("unit"), in(craft_keep(&craft));
    ck_assert_msg(go(0) == ERR_OK, "%s", report.text);
    memcpy(found, loaded_bytes("unit", "unit_count"), sizeof found);
    ck_assert_uint_eq(found[0], 0x1111111111111111);
    ck_assert_uint_eq(found[1], loaded_address("unit_one") + 4);
    ck_assert_uint_eq(reap_replaced(), 0);
}
END_TEST

/* Where a new version says the same, an address within a function is that of its new place; where it says something
 * else, of as many bytes, there is no such place, and the swap is refused. */
START_TEST(addresses_within_code_move_with_what_is_the_same)
{
    static const uint8_t other[16] = {0x90, 0x90, 0x90, 0x90, 0x90, 0x90, 0x91, 0x90,
                                      0x90, 0x90, 0x90, 0x90, 0x90, 0x90, 0x90, 0x90};
    uint64_t one = loaded_address("unit_one") + 5, found;
    struct craft craft = unit_of(2);

    memcpy(loaded_bytes("unit", "unit_count"), &one, sizeof one);
    out("unit"), in(craft_keep(&craft));
    ck_assert_msg(go(0) == ERR_OK, "%s", report.text);
    memcpy(&found, loaded_bytes("unit", "unit_count"), sizeof found);
    ck_assert_uint_eq(found, loaded_address("unit_one") + 5);
    ck_assert_uint_ne(found, one);
    ck_assert_uint_eq(reap_replaced(), 0);
    craft = unit_of(3);
    craft.section[craft.symbol[0].section - 1].contents = other;
    order = (struct swap_order){.namespace_ = NAMESPACE_ROOT};
    out("unit"), in(craft_keep(&craft));
    ck_assert_int_eq(go(0), ERR_MISSING_SYMBOL);
    memcpy(&one, loaded_bytes("unit", "unit_count"), sizeof one);
    ck_assert_uint_eq(one, found);
}
END_TEST

static unsigned steps;

static void count_step(unsigned step)
{
    steps = step;
}

START_TEST(held_cells_stay_until_they_are_let_go)
{
    struct craft craft = unit_of(2);
    size_t cells = stand_in_records(ARENA_CELLS);

    swap_step_hook = count_step;
    out("unit"), in(craft_keep(&craft));
    ck_assert_msg(go(0) == ERR_OK, "%s", report.text);
    swap_step_hook = NULL;
    ck_assert_uint_gt(steps, 5);
    stand_in.held = true;
    ck_assert_uint_eq(reap_replaced(), 1);
    ck_assert_uint_eq(stand_in_records(ARENA_CELLS), cells + 1);
    stand_in.held = false;
    ck_assert_uint_eq(reap_replaced(), 0);
    ck_assert_uint_eq(stand_in_records(ARENA_CELLS), cells);
}
END_TEST

/* An error from below never has a swap tried again, whatever its number. */
START_TEST(a_transfer_function_that_fails_is_called_once)
{
    static const enum err errors[] = {ERR_BUSY, ERR_FULL, ERR_NOMEM};
    struct stand_in_use use = stand_in_use();
    struct craft craft = unit_of(2);

    craft.cell.transfer = craft_function(&craft, "unit_transfer", 0);
    for (size_t i = 0; i < array_size(errors); i++) {
        stand_in.call_result = errors[i];
        order = (struct swap_order){.namespace_ = NAMESPACE_ROOT};
        out("unit"), in(craft_keep(&craft));
        ck_assert_int_eq(go(0), errors[i]);
        ck_assert_uint_eq(stand_in.calls, 1);
        ck_assert_ptr_nonnull(strstr(report.text, "unit: its data cannot be taken over: "));
        struct stand_in_use now = stand_in_use();
        ck_assert_msg(stand_in_same_use(&use, &now), "%s", stand_in_difference(&use, &now));
    }
    stand_in.call_result = ERR_OK;
    order = (struct swap_order){.namespace_ = NAMESPACE_ROOT};
    out("unit"), in(craft_keep(&craft));
    ck_assert_msg(go(0) == ERR_OK, "%s", report.text);
    ck_assert_uint_eq(reap_replaced(), 0);
}
END_TEST

/* What the old cell stores while the core is swapped, after its data has been copied. */
static uint64_t *stored_to, stored[2];

static void store_pointers(unsigned step)
{
    if (step == 1)
        memcpy(stored_to, stored, sizeof stored);
}

static struct craft core_unit(uint64_t type_hash)
{
    struct craft craft = unit_of(1);
    uint32_t symbol = craft_function(&craft, "unit_hidden", 0);
    struct craft_section *section = &craft.section[craft.symbol[symbol - 1].section - 1];

    craft.cell.flags = NOTE_CORE;
    section->noted = true;
    section->type_hash = section->deep_hash = type_hash;
    return craft;
}

START_TEST(the_switchover_keeps_pointers_to_functions_of_another_type)
{
    struct craft craft = core_unit(7), other = core_unit(8);

    out("unit"), in(craft_keep(&craft));
    ck_assert_msg(go(0) == ERR_OK, "%s", report.text);
    ck_assert_uint_eq(reap_replaced(), 0);
    stored[0] = loaded_address("unit_one");
    stored[1] = arena_section(loaded_section("unit", "unit_hidden"))->virt;
    stored_to = (uint64_t *)loaded_bytes("unit", "unit_count");
    swap_step_hook = store_pointers;
    order = (struct swap_order){.namespace_ = NAMESPACE_ROOT};
    out("unit"), in(craft_keep(&other));
    ck_assert_msg(go(0) == ERR_OK, "%s", report.text);
    swap_step_hook = NULL;
    const uint64_t *found = (const uint64_t *)loaded_bytes("unit", "unit_count");
    ck_assert_uint_ne(found[0], stored[0]);
    ck_assert_uint_eq(found[0], loaded_address("unit_one"));
    ck_assert_uint_eq(found[1], stored[1]); /* who has it knows only how to call the old one */
    ck_assert_uint_eq(reap_replaced(), 0);
}
END_TEST

START_TEST(a_version_that_lacks_a_mark_is_refused)
{
    const uint32_t marks[] = {NOTE_CORE, NOTE_FOUNDATION};
    struct craft marked = unit_of(1), other = unit_of(2);

    marked.cell.flags = marks[_i];
    out("unit"), in(craft_keep(&marked));
    ck_assert_msg(go(0) == ERR_OK, "%s", report.text);
    ck_assert_uint_eq(reap_replaced(), 0);
    order = (struct swap_order){.namespace_ = NAMESPACE_ROOT};
    out("unit"), in(craft_keep(&other));
    ck_assert_int_eq(go(0), ERR_NOT_SWAPPABLE);
    ck_assert_ptr_nonnull(strstr(report.text, "unit"));
    ck_assert_uint_eq(arena_cell(loaded_cell("unit"))->version, 1);
}
END_TEST

Suite *suite_hosted_swap(void)
{
    Suite *s = suite_create("hosted swap");
    TCase *built = tcase_create("built"), *made_up = tcase_create("made up");

    tcase_add_checked_fixture(built, setup, teardown);
    tcase_add_test(built, cells_are_merged_and_split);
    tcase_add_test(built, a_dry_run_changes_nothing_and_says_what_would_be);
    tcase_add_test(built, recipes_are_believed_only_when_they_fit);
    tcase_add_test(built, a_function_has_one_new_name);
    suite_add_tcase(s, built);
    tcase_add_checked_fixture(made_up, setup_unit, teardown);
    tcase_add_loop_test(made_up, what_does_not_fit_is_refused_by_name, 0, (int)array_size(harms));
    tcase_add_test(made_up, orders_that_make_no_sense_are_refused);
    tcase_add_test(made_up, stored_pointers_are_redirected);
    tcase_add_test(made_up, pointers_to_own_data_are_carried);
    tcase_add_test(made_up, addresses_within_code_move_with_what_is_the_same);
    tcase_add_test(made_up, pointers_of_the_new_version_are_its_own);
    tcase_add_test(made_up, held_cells_stay_until_they_are_let_go);
    tcase_add_test(made_up, a_transfer_function_that_fails_is_called_once);
    tcase_add_test(made_up, the_switchover_keeps_pointers_to_functions_of_another_type);
    tcase_add_loop_test(made_up, a_version_that_lacks_a_mark_is_refused, 0, 2);
    suite_add_tcase(s, made_up);
    return s;
}
