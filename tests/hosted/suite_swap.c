/* Swaps, planned and carried out where no task runs: what is paired and carried, what is refused and by which words, and
 * that a dry run and a refusal leave everything as it was. Stacks, doors and parked CPUs are for tests/guest. */
#include "cells/kernel/arena/arena.h"
#include "cells/kernel/heap/heap.h"
#include "cells/kernel/loader/loader.h"
#include "cells/kernel/page/page.h"
#include "cells/kernel/swap/swap.h"
#include "tests/hosted/audit.h"
#include "tests/hosted/craft.h"
#include "tests/hosted/stand_in.h"
#include <check.h>
#include <elf.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

Suite *suite_hosted_swap(void);

#define ROOT 1

static struct arena_completion report;
static struct loader_detail detail;
static struct swap_order order;

static void setup(void)
{
    stand_in_start();
    ck_assert_msg(stand_in_boot("build/delias.elf", "build/tests/guest.archive"), "%s", stand_in.printed);
    order = (struct swap_order){.namespace_ = ROOT};
}

static void teardown(void)
{
    const char *what = audit();

    ck_assert_msg(!what, "%s", what);
}

static void load(const char *name)
{
    uint32_t cell;

    ck_assert_msg(loader_load(name, &cell, &detail) == ERR_OK, "%s", detail.text);
}

static uint32_t cell(const char *name)
{
    uint32_t found = arena_cell_find(ROOT, name);

    ck_assert_msg(found != 0, "there is no %s", name);
    return found;
}

static void out(const char *name)
{
    order.old[order.olds++] = cell(name);
}

static void in(uint32_t object)
{
    ck_assert_uint_ne(object, 0);
    order.object[order.objects++] = object;
}

static enum err go(unsigned flags)
{
    order.flags = flags;
    stand_in.calls = 0;
    return swap_cells(&order, &report);
}

static uint8_t *bytes_of(const char *name, const char *section)
{
    uint32_t s = arena_cell(cell(name))->first_section;

    while (s && strcmp(arena_string(arena_section(s)->name), section) != 0)
        s = arena_section(s)->next_in_cell;
    ck_assert_msg(s != 0, "%s has no section %s", name, section);
    return page_direct(arena_section(s)->phys);
}

static uint64_t word_of(const char *name, const char *section)
{
    uint64_t word;

    memcpy(&word, bytes_of(name, section), sizeof word);
    return word;
}

static uint64_t address_of(const char *symbol)
{
    uint64_t address;

    ck_assert_int_eq(loader_symbol(symbol, &address), ERR_OK);
    return address;
}

/* ---- cells of the build: two to one, one to two ---- */

START_TEST(cells_are_merged_and_split)
{
    const uint64_t calls = 11, total = 22;

    load("left");
    ck_assert_uint_ne(arena_cell_find(ROOT, "right"), 0);
    memcpy(bytes_of("left", ".bss.left_calls"), &calls, sizeof calls);
    memcpy(bytes_of("right", ".bss.right_total"), &total, sizeof total);
    out("left"), out("right"), in(stand_in_keep("build/cells/left_v2.o"));
    ck_assert_msg(go(0) == ERR_OK, "%s", report.detail);
    ck_assert_uint_eq(arena_cell_find(ROOT, "right"), 0);
    ck_assert_uint_eq(swap_reap(), 0);
    ck_assert_uint_eq(arena_cell_at(address_of("right_twice")), cell("left"));
    ck_assert_uint_eq(word_of("left", ".bss.left_calls"), calls);
    ck_assert_uint_eq(word_of("left", ".bss.right_total"), total);
    ck_assert_uint_eq(word_of("left", ".data.left_ask"), address_of("right_twice"));
    order = (struct swap_order){.namespace_ = ROOT};
    out("left"), in(stand_in_keep("build/cells/left.o")), in(stand_in_keep("build/cells/right.o"));
    ck_assert_msg(go(0) == ERR_OK, "%s", report.detail);
    ck_assert_uint_eq(swap_reap(), 0);
    ck_assert_uint_eq(word_of("left", ".bss.left_calls"), calls);
    ck_assert_uint_eq(word_of("right", ".bss.right_total"), total);
    ck_assert_uint_eq(word_of("left", ".data.left_ask"), address_of("right_twice"));
    ck_assert_uint_eq(arena_cell_at(address_of("right_twice")), cell("right"));
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
    for (uint32_t i = 1; i < arena_header()->table[ARENA_SECTIONS].used; i++) {
        const struct arena_section *s = arena_section(i);
        if (!s->check)
            continue;
        add_image(&image, s, offsetof(struct arena_section, first_in));
        add_image(&image, &s->outgoing, 2 * sizeof s->outgoing);
        add_image(&image, page_direct(s->phys), s->bytes);
    }
    for (uint32_t i = 1; i < arena_header()->table[ARENA_CELLS].used; i++)
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
    ck_assert_msg(go(SWAP_DRY_RUN) == ERR_OK, "%s", report.detail);
    uint64_t carried = report.transferred_bytes, rewritten = report.relocations;
    loader_drop_object(order.object[0]);
    heap_trim();
    struct stand_in_use now = stand_in_use();
    struct image after = take_image();
    ck_assert_msg(stand_in_same_use(&use, &now), "%s", stand_in_difference(&use, &now));
    ck_assert_uint_eq(image.used, after.used);
    ck_assert(memcmp(image.bytes, after.bytes, image.used) == 0);
    order.object[0] = stand_in_keep("build/cells/ledger_v2.o");
    ck_assert_msg(go(0) == ERR_OK, "%s", report.detail);
    ck_assert_uint_gt(carried, 0);
    ck_assert_uint_eq(report.transferred_bytes, carried);
    ck_assert_uint_ge(report.relocations, rewritten);
    free(recipes);
    free(image.bytes);
    free(after.bytes);
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
    ck_assert_ptr_nonnull(strstr(report.detail, "books"));
    for (size_t at = 0, step = 1; at < bytes; at += step) {
        recipes[at] ^= 0x41;
        order.recipes = recipes, order.recipe_bytes = bytes;
        order.object[0] = stand_in_keep("build/cells/ledger_v2.o");
        if (go(SWAP_DRY_RUN))
            ck_assert_str_ne(report.detail, "");
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
    uint32_t object = craft_keep(craft), new_;
    const struct loader_order load = {.namespace_ = ROOT, .object = &object, .objects = 1};

    ck_assert_msg(object && loader_stage(&load, &new_, &detail) == ERR_OK, "%s", detail.text);
    loader_publish(new_);
    ck_assert_int_eq(loader_initialize(new_, &detail), ERR_OK);
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
     "unit: unit_count leads to what has another type, and there is no transfer function"},
    {lose_data, ERR_MISSING_SYMBOL,
     "unit: unit_count would be lost: the new version lacks it, and has no transfer function"},
    {need_missing, ERR_UNRESOLVED, "unit: needs unit_four, which no cell exports"},
    {need_itself, ERR_UNRESOLVED, "unit: needs unit_two, which only cell unit exports, and that is to go"},
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
    ck_assert_msg(err == harms[_i].expected, "%s: %s", err_text(err), report.detail);
    ck_assert_str_eq(report.detail, harms[_i].said);
    struct stand_in_use now = stand_in_use();
    struct image after = take_image();
    ck_assert_msg(stand_in_same_use(&use, &now), "%s", stand_in_difference(&use, &now));
    ck_assert(image.used == after.used && memcmp(image.bytes, after.bytes, image.used) == 0);
    free(image.bytes);
    free(after.bytes);
    craft = unit_of(2);
    order = (struct swap_order){.namespace_ = ROOT};
    out("unit"), in(craft_keep(&craft));
    ck_assert_msg(go(0) == ERR_OK, "%s", report.detail);
    ck_assert_uint_eq(report.relocations, 2);
    ck_assert_uint_eq(arena_cell(cell("unit"))->version, 2);
    ck_assert_uint_eq(swap_reap(), 0);
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
    ck_assert_str_eq(report.detail, "cell unit is to go twice");
    order = (struct swap_order){.namespace_ = ROOT};
    in(craft_keep(&craft));
    ck_assert_int_eq(go(0), ERR_EXISTS);
    order = (struct swap_order){.namespace_ = ROOT};
    in(craft_keep(&other)), in(craft_keep(&other));
    ck_assert_int_eq(go(0), ERR_EXISTS);
    ck_assert_str_eq(report.detail, "two objects of cell other");
    order = (struct swap_order){.namespace_ = ROOT};
    out("nano_core");
    ck_assert_int_eq(go(0), ERR_NOT_SWAPPABLE);
    order = (struct swap_order){.namespace_ = 2};
    out("unit");
    ck_assert_int_eq(go(0), ERR_NOT_FOUND);
    order = (struct swap_order){.namespace_ = ROOT};
    out("unit"); /* a removal, while it is used */
    ck_assert_int_eq(go(0), ERR_MISSING_SYMBOL);
    struct stand_in_use now = stand_in_use();
    ck_assert_msg(stand_in_same_use(&use, &now), "%s", stand_in_difference(&use, &now));
    order = (struct swap_order){.namespace_ = ROOT};
    out("user"), out("unit"); /* both: nobody is left who uses them */
    ck_assert_msg(go(SWAP_FRESH_DATA) == ERR_OK, "%s", report.detail);
    (void)swap_reap(); /* the user goes first */
    ck_assert_uint_eq(swap_reap(), 0);
    ck_assert_uint_eq(arena_cell_find(ROOT, "unit"), 0);
}
END_TEST

/* A pointer that was stored leads to the new one of what it led to; one that says nothing of the cell stays as it is. */
START_TEST(stored_pointers_are_led)
{
    struct craft craft = unit_of(2);
    uint64_t one = address_of("unit_one");
    uint32_t section = arena_section_at(arena_cell(cell("unit"))->data_virt);
    void *slot = (void *)(arena_section(section)->virt + 8);

    ck_assert_int_eq(loader_bind(slot, (void *)one), ERR_OK);
    out("unit"), in(craft_keep(&craft));
    ck_assert_msg(go(0) == ERR_OK, "%s", report.detail);
    ck_assert_uint_eq(word_of("unit", "unit_hook"), address_of("unit_two"));
    uint64_t found;
    memcpy(&found, bytes_of("unit", "unit_count") + 8, sizeof found);
    ck_assert_uint_ne(address_of("unit_one"), one);
    ck_assert_uint_eq(found, address_of("unit_one"));
    ck_assert_uint_eq(swap_reap(), 0);
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
    ck_assert_msg(go(0) == ERR_OK, "%s", report.detail);
    swap_step_hook = NULL;
    ck_assert_uint_gt(steps, 5);
    stand_in.held = true;
    ck_assert_uint_eq(swap_reap(), 1);
    ck_assert_uint_eq(stand_in_records(ARENA_CELLS), cells + 1);
    stand_in.held = false;
    ck_assert_uint_eq(swap_reap(), 0);
    ck_assert_uint_eq(stand_in_records(ARENA_CELLS), cells);
}
END_TEST

Suite *suite_hosted_swap(void)
{
    Suite *s = suite_create("hosted swap");
    TCase *built = tcase_create("built"), *made_up = tcase_create("made up");

    tcase_set_timeout(built, 60);
    tcase_add_checked_fixture(built, setup, teardown);
    tcase_add_test(built, cells_are_merged_and_split);
    tcase_add_test(built, a_dry_run_changes_nothing_and_says_what_would_be);
    tcase_add_test(built, recipes_are_believed_only_when_they_fit);
    suite_add_tcase(s, built);
    tcase_set_timeout(made_up, 60);
    tcase_add_checked_fixture(made_up, setup_unit, teardown);
    tcase_add_loop_test(made_up, what_does_not_fit_is_refused_by_name, 0, (int)array_size(harms));
    tcase_add_test(made_up, orders_that_make_no_sense_are_refused);
    tcase_add_test(made_up, stored_pointers_are_led);
    tcase_add_test(made_up, held_cells_stay_until_they_are_let_go);
    suite_add_tcase(s, made_up);
    return s;
}
