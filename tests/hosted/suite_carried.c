/* What goes along when a cell is swapped, beside the bytes of its data: whether it is initialized, how often it was
 * reloaded, pointers that have come to refer to the heap; and who takes over the data of what is split. */
#include "cells/core/arena/arena.h"
#include "cells/core/lifecycle/lifecycle.h"
#include "cells/core/loader/loader.h"
#include "cells/evolve/reap/reap.h"
#include "cells/evolve/swap/swap.h"
#include "cells/memory/heap/heap.h"
#include "tests/hosted/audit.h"
#include "tests/hosted/craft.h"
#include "tests/hosted/loaded.h"
#include "tests/hosted/stand_in.h"
#include <check.h>
#include <elf.h>
#include <stdlib.h>
#include <string.h>

Suite *suite_hosted_carried(void);

enum { RELOADS = 3 };

static struct report report;
static struct swap_order order;

/* With an init function, a datum, and a pointer to a function. */
static struct craft unit_of(uint32_t version)
{
    struct craft craft = craft_cell("unit", version);
    uint32_t call = craft_function(&craft, "unit_call", ACCESS_LIBRARY);
    uint32_t hook;

    craft_data(&craft, "unit_count", 16, 5);
    hook = craft_data(&craft, "unit_hook", 8, 6);
    craft_relocate(&craft, craft.symbol[hook - 1].section, 0, R_X86_64_64, call, 0);
    craft.cell.init = craft_function(&craft, "unit_init", 0);
    return craft;
}

static void setup(void)
{
    struct craft unit = unit_of(1);
    struct object_ref object;
    struct cell_ref cell;
    const struct loader_input load = {.namespace_ = NAMESPACE_ROOT, .object = &object, .objects = 1};

    stand_in_start();
    ck_assert_msg(stand_in_boot("build/delias.elf", "build/cells.archive"), "%s", stand_in.printed);
    object = craft_keep(&unit);
    ck_assert_msg(object.index && loader_stage(&load, &cell, &report) == ERR_OK, "%s", report.text);
    lifecycle_publish(cell);
    ck_assert_int_eq(loader_initialize(cell, &report), ERR_OK);
}

static void teardown(void)
{
    const char *what = audit();

    ck_assert_msg(!what, "%s", what);
}

/* Swaps unit for these objects. */
static enum err swap_for(const struct craft *craft, size_t crafts, unsigned flags)
{
    order = (struct swap_order){
        .namespace_ = NAMESPACE_ROOT, .flags = flags, .olds = 1, .objects = crafts, .old = {loaded_cell("unit")}};
    for (size_t i = 0; i < crafts; i++) {
        order.object[i] = craft_keep(&craft[i]);
        ck_assert(order.object[i].index);
    }
    stand_in.calls = 0;
    return swap_cells(&order, &report);
}

static void swap_well(uint32_t version, unsigned flags)
{
    struct craft craft = unit_of(version);

    ck_assert_msg(swap_for(&craft, 1, flags) == ERR_OK, "%s", report.text);
    ck_assert_uint_eq(arena_cell(loaded_cell("unit"))->version, version);
    ck_assert_uint_eq(reap_replaced(), 0);
}

START_TEST(what_is_initialized_is_not_again)
{
    swap_well(2, 0);
    ck_assert_uint_eq(stand_in.calls, 0);
    ck_assert(arena_cell(loaded_cell("unit"))->initialized == CELL_INIT_DONE);
    swap_well(3, SWAP_FRESH_DATA);
    ck_assert_uint_eq(stand_in.calls, 1);
    ck_assert(arena_cell(loaded_cell("unit"))->initialized == CELL_INIT_DONE);
}
END_TEST

START_TEST(reloads_are_counted_on)
{
    {
        GUARD(arena) held = arena_change();
        arena_cell(loaded_cell("unit"))->reloads = RELOADS;
        arena_seal(loaded_cell("unit"));
    }
    swap_well(2, 0);
    ck_assert_uint_eq(arena_cell(loaded_cell("unit"))->reloads, RELOADS);
    swap_well(3, SWAP_FRESH_DATA);
    ck_assert_uint_eq(arena_cell(loaded_cell("unit"))->reloads, RELOADS);
}
END_TEST

/* Code has stored there what no section is behind. */
START_TEST(pointers_may_refer_to_the_heap)
{
    uint64_t *block = heap_alloc(sizeof *block), address = (uint64_t)block;

    ck_assert_ptr_nonnull(block);
    memcpy(loaded_bytes("unit", "unit_hook"), &address, sizeof address);
    swap_well(2, 0);
    ck_assert_uint_eq(loaded_word("unit", "unit_hook"), address);
    heap_free(block);
}
END_TEST

/* Bytes of another function of the same size. */
static const uint8_t other_code[16] = {0xc3};

static struct craft unit_with_other_code(uint32_t version)
{
    struct craft unit = unit_of(version);

    unit.section[unit.symbol[0].section - 1].contents = other_code;
    return unit;
}

static void store_label(uint64_t offset)
{
    uint64_t address = loaded_address("unit_call") + offset;

    memcpy(loaded_bytes("unit", "unit_count") + sizeof address, &address, sizeof address);
}

/* As `&&label` has it. */
START_TEST(a_label_needs_the_same_function)
{
    struct craft other = unit_with_other_code(3);
    uint64_t label;

    store_label(8);
    swap_well(2, 0);
    memcpy(&label, loaded_bytes("unit", "unit_count") + sizeof label, sizeof label);
    ck_assert_uint_eq(label, loaded_address("unit_call") + 8);
    ck_assert_int_eq(swap_for(&other, 1, 0), ERR_MISSING_SYMBOL);
    ck_assert_str_eq(report.text, "unit: unit_count points into the middle of unit_call, which differs");
    ck_assert_uint_eq(arena_cell(loaded_cell("unit"))->version, 2);
    store_label(0);
    ck_assert_msg(swap_for(&other, 1, 0) == ERR_OK, "%s", report.text);
    store_label(8);
    swap_well(2, SWAP_FRESH_DATA);
}
END_TEST

static uint64_t end_of(const char *section)
{
    const struct arena_section *s = arena_section(loaded_section("unit", section));

    return s->virt + s->bytes;
}

/* As of an array: it is where no other datum begins, also where it is stored over a pointer that has an edge. */
START_TEST(the_end_of_a_datum_goes_along)
{
    for (uint32_t version = 2; version < 4; version++) {
        uint64_t end = end_of("unit_count"), carried;
        memcpy(loaded_bytes("unit", "unit_count") + sizeof end, &end, sizeof end);
        memcpy(loaded_bytes("unit", "unit_hook"), &end, sizeof end);
        ck_assert_uint_eq(arena_section_at(end).index, 0);
        swap_well(version, 0);
        memcpy(&carried, loaded_bytes("unit", "unit_count") + sizeof end, sizeof carried);
        ck_assert_uint_ne(end_of("unit_count"), end);
        ck_assert_uint_eq(carried, end_of("unit_count"));
        ck_assert_uint_eq(loaded_word("unit", "unit_hook"), end_of("unit_count"));
    }
}
END_TEST

/* A section with these contents; the first word refers to what is 8 * n behind the start of unit_call. */
static void add_constant(struct craft *craft, const char *name, const uint64_t value[2], unsigned n)
{
    uint32_t section = craft_section(craft, name, SHT_PROGBITS, SHF_ALLOC, 2 * sizeof *value);

    craft->section[section - 1].contents = value;
    craft_relocate(craft, section, 0, R_X86_64_64, 1, 8 * n);
}

/* A pointer to a constant with a name goes along whatever that holds. What the compiler merges, and a table of labels,
 * have no counterpart: the old cell stays. */
START_TEST(a_pointer_to_a_constant_goes_along)
{
    static const uint64_t value[2][2] = {{0, 5}, {0, 7}};
    static const struct {
        const char *name;
        unsigned label;
        bool moves;
    } cases[] = {{".rodata.fast", 0, true},      {".rodata.unit_call", 1, false}, {".rodata.str1.1", 0, false},
                 {".rodata.f.str1.8", 0, false}, {".rodata.cst16", 0, false},     {".rodata#01234567", 0, false},
                 {".rodata.string", 0, true}};
    const char *name = cases[_i].name;
    struct craft old = unit_of(2), new_ = unit_of(3);

    add_constant(&old, name, value[0], cases[_i].label);
    add_constant(&new_, name, value[1], cases[_i].label);
    ck_assert_msg(swap_for(&old, 1, 0) == ERR_OK, "%s", report.text);
    uint64_t at = arena_section(loaded_section("unit", name))->virt + 8, carried;
    memcpy(loaded_bytes("unit", "unit_count") + sizeof at, &at, sizeof at);
    ck_assert_msg(swap_for(&new_, 1, 0) == ERR_OK, "%s", report.text);
    memcpy(&carried, loaded_bytes("unit", "unit_count") + sizeof at, sizeof carried);
    ck_assert_uint_eq(carried, cases[_i].moves ? arena_section(loaded_section("unit", name))->virt + 8 : at);
}
END_TEST

static void store_lost_function(void)
{
    uint64_t lost = arena_section(loaded_section("unit", "unit_lost"))->virt;

    memcpy(loaded_bytes("unit", "unit_hook"), &lost, sizeof lost);
}

/* What the plan has seen is another value: it must not be lost. */
START_TEST(a_pointer_may_change_until_the_others_are_parked)
{
    struct craft with = unit_of(2);

    craft_function(&with, "unit_lost", 0);
    ck_assert_msg(swap_for(&with, 1, 0) == ERR_OK, "%s", report.text);
    uint64_t before = loaded_word("unit", "unit_hook");
    struct craft without = unit_of(3);
    stand_in.parked = store_lost_function;
    ck_assert_int_eq(swap_for(&without, 1, 0), ERR_MISSING_SYMBOL);
    stand_in.parked = NULL;
    ck_assert_uint_eq(loaded_word("unit", "unit_hook"), arena_section(loaded_section("unit", "unit_lost"))->virt);
    memcpy(loaded_bytes("unit", "unit_hook"), &before, sizeof before);
}
END_TEST

/* The version without the datum has no transfer function, but the cell that is split off has. */
START_TEST(a_cell_that_is_split_off_takes_over)
{
    struct craft craft[2] = {craft_cell("unit", 2), craft_cell("other", 1)};

    craft_function(&craft[0], "unit_call", ACCESS_LIBRARY);
    craft_function(&craft[1], "other_call", ACCESS_LIBRARY);
    ck_assert_int_eq(swap_for(craft, 2, 0), ERR_MISSING_SYMBOL);
    craft[1].cell.transfer = craft_function(&craft[1], "other_transfer", 0);
    ck_assert_msg(swap_for(craft, 2, 0) == ERR_OK, "%s", report.text);
    ck_assert_uint_eq(stand_in.calls, 1);
    ck_assert_uint_eq(reap_replaced(), 0);
}
END_TEST

Suite *suite_hosted_carried(void)
{
    Suite *s = suite_create("hosted carried");
    TCase *tests = tcase_create("carried");

    tcase_add_checked_fixture(tests, setup, teardown);
    tcase_add_test(tests, what_is_initialized_is_not_again);
    tcase_add_test(tests, reloads_are_counted_on);
    tcase_add_test(tests, pointers_may_refer_to_the_heap);
    tcase_add_test(tests, a_label_needs_the_same_function);
    tcase_add_test(tests, the_end_of_a_datum_goes_along);
    tcase_add_loop_test(tests, a_pointer_to_a_constant_goes_along, 0, 7);
    tcase_add_test(tests, a_pointer_may_change_until_the_others_are_parked);
    tcase_add_test(tests, a_cell_that_is_split_off_takes_over);
    suite_add_tcase(s, tests);
    return s;
}
