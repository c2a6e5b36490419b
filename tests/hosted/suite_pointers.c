/* Pointers to functions that a swap would leave dangling: found by their types in static data and behind it, and named;
 * what types do not tell of is let be, and no wild pointer does harm. */
#include "cells/core/arena/arena.h"
#include "cells/core/lifecycle/lifecycle.h"
#include "cells/core/loader/loader.h"
#include "cells/core/page/page.h"
#include "cells/evolve/swap/swap.h"
#include "cells/memory/heap/heap.h"
#include "guest/abi/layout.h"
#include "tests/hosted/craft.h"
#include "tests/hosted/stand_in.h"
#include <check.h>
#include <elf.h>
#include <stdlib.h>
#include <string.h>

Suite *suite_hosted_pointers(void);

enum { CALLED = 7, CALLED_OTHERWISE = 8, TAG = 100, LAYOUT = 200, TABLE_BYTES = 96 };

/* struct item { struct item *next; uint64_t number; function *call; };
 * static struct { function *call[2]; struct item *item; struct item **all; struct away *away; struct tail *tail;
 *                 struct item own[2]; } table;
 * struct tail { uint64_t count; struct item item[]; };
 * and in another cell struct away { uint64_t n; function *call; }; */
enum { ITEM, TABLE, ALL, TAIL };
enum { NEXT_ = 1, CALL_ = 6, ITEM_ = 11, ALL_ = 16, AWAY_ = 20, TAIL_ = 25, OWN_ = 30 };

static const struct {
    struct note_pointers head;
    struct note_shape shape[4];
    struct note_field field[10];
    struct note_root root[1];
    char names[40];
} of_holder = {
    .head = {.types = 4, .fields = 10, .roots = 1, .name_bytes = 40},
    .shape = {{.bytes = 24, .fields = 2},
              {.bytes = TABLE_BYTES, .first = 2, .fields = 6},
              {.bytes = 8, .first = 8, .fields = 1},
              {.bytes = 8, .first = 9, .fields = 1}},
    .field = {{.what = NOTE_TO_TYPE, .target = ITEM, .stride = 8, .count = 1, .name = NEXT_},
              {.what = NOTE_TO_FUNCTION, .hash = CALLED, .offset = 16, .stride = 8, .count = 1, .name = CALL_},
              {.what = NOTE_TO_FUNCTION, .hash = CALLED, .stride = 8, .count = 2, .name = CALL_},
              {.what = NOTE_TO_TYPE, .target = ITEM, .offset = 16, .stride = 8, .count = 1, .name = ITEM_},
              {.what = NOTE_TO_TYPE, .target = ALL, .offset = 24, .stride = 8, .count = 1, .name = ALL_},
              {.what = NOTE_TO_TAG, .hash = TAG, .offset = 32, .stride = 8, .count = 1, .name = AWAY_},
              {.what = NOTE_TO_TYPE, .target = TAIL, .offset = 40, .stride = 8, .count = 1, .name = TAIL_},
              {.what = NOTE_HOLDS, .target = ITEM, .offset = 48, .stride = 24, .count = 2, .name = OWN_},
              {.what = NOTE_TO_TYPE, .target = ITEM, .stride = 8, .count = 1},
              {.what = NOTE_HOLDS, .target = ITEM, .offset = 8, .stride = 24, .count = 0, .name = ITEM_}},
    .root = {{.section = 2, .type = TABLE}},
    .names = "\0next\0call\0item\0all\0away\0tail\0own",
};

static const struct {
    struct note_pointers head;
    struct note_shape shape[1];
    struct note_field field[1];
    char names[8];
} of_other = {
    .head = {.types = 1, .fields = 1, .name_bytes = 8},
    .shape = {{.tag = TAG, .layout = LAYOUT, .bytes = 16, .fields = 1}},
    .field = {{.what = NOTE_TO_FUNCTION, .hash = CALLED, .offset = 8, .stride = 8, .count = 1, .name = 1}},
    .names = "\0call",
};

struct item {
    struct item *next;
    uint64_t number, call;
};
struct table {
    uint64_t call[2];
    struct item *item, **all;
    uint64_t *away, *tail;
    struct item own[2];
};
_Static_assert(sizeof(struct table) == TABLE_BYTES);

static struct report report;
static struct table *table; /* the holder's data, through the direct map */
static struct cell_ref holder, callee;

static struct craft cell_holder(uint32_t version)
{
    struct craft craft = craft_cell("holder", version);

    craft_function(&craft, "holder_use", ACCESS_APPLICATION);
    craft_data(&craft, "table", TABLE_BYTES, 5);
    craft.pointers = &of_holder;
    craft.pointer_bytes = sizeof of_holder;
    return craft;
}

static struct craft cell_other(const char *name, const void *pointers, size_t bytes)
{
    struct craft craft = craft_cell(name, 1);

    craft_function(&craft, name, 0);
    craft.pointers = pointers;
    craft.pointer_bytes = bytes;
    return craft;
}

static void add_called(struct craft *craft, const char *name, uint64_t type)
{
    craft_function(craft, name, 0);
    struct craft_section *s = &craft->section[craft->sections - 1];
    s->noted = true;
    s->type_hash = s->deep_hash = type;
}

/* The second version has neither `gone` nor `retyped` as it was. */
static struct craft cell_callee(uint32_t version)
{
    struct craft craft = craft_cell("callee", version);

    craft_function(&craft, "callee_use", ACCESS_APPLICATION);
    add_called(&craft, ".text.kept", CALLED);
    add_called(&craft, ".text.retyped", version == 1 ? CALLED : CALLED_OTHERWISE);
    if (version == 1)
        add_called(&craft, ".text.gone", CALLED);
    return craft;
}

static struct cell_ref load(struct craft craft)
{
    struct object_ref object;
    struct cell_ref cell;
    size_t bytes;
    uint8_t *data = craft_write(&craft, &bytes);
    const struct loader_input input = {.namespace_ = NAMESPACE_ROOT, .object = &object, .objects = 1};

    ck_assert_msg(lifecycle_keep_object(data, bytes, &object, &report) == ERR_OK, "%s", report.text);
    ck_assert_msg(loader_stage(&input, &cell, &report) == ERR_OK, "%s", report.text);
    lifecycle_publish(cell);
    free(data);
    return cell;
}

static void setup(void)
{
    stand_in_start();
    ck_assert_msg(stand_in_boot("build/delias.elf", "build/cells.archive"), "%s", stand_in.printed);
    holder = load(cell_holder(1));
    callee = load(cell_callee(1));
    table = page_direct(arena_cell(holder)->data_phys);
    memset(table, 0, sizeof *table);
}

static uint64_t function(const char *name)
{
    for_each_section_of (s, callee)
        if (strcmp(arena_string(arena_section(s)->name) + 6, name) == 0)
            return arena_section(s)->virt;
    ck_abort_msg("no function %s", name);
}

static enum err swap_old(struct cell_ref old, struct craft craft, unsigned flags)
{
    size_t bytes;
    uint8_t *data = craft_write(&craft, &bytes);
    struct swap_order order = {.namespace_ = NAMESPACE_ROOT, .flags = flags, .olds = 1, .objects = 1, .old = {old}};

    ck_assert_msg(lifecycle_keep_object(data, bytes, &order.object[0], &report) == ERR_OK, "%s", report.text);
    free(data);
    return swap_cells(&order, &report);
}

static void check(enum err want, const char *words)
{
    enum err e = swap_old(callee, cell_callee(2), SWAP_DRY_RUN);

    ck_assert_msg(e == want, "%s: %s", err_text(e), report.text);
    ck_assert_str_eq(report.text, words);
}

#define GONE(path)    "cell holder: " path " points to gone of cell callee, which has no counterpart"
#define RETYPED(path) "cell holder: " path " points to retyped of cell callee, which has another type then"

static struct item *item_of(struct item *next, uint64_t call)
{
    struct item *item = heap_alloc(sizeof *item);

    ck_assert_ptr_nonnull(item);
    *item = (struct item){.next = next, .call = call};
    return item;
}

START_TEST(what_is_dangling_is_named)
{
    struct item *first = item_of(NULL, 0), *block = heap_alloc(3 * sizeof *block), **all = heap_alloc(4 * sizeof *all);
    uint64_t *tail = heap_alloc(8 + 2 * sizeof(struct item));

    table->call[0] = table->own[0].call = function("kept");
    check(ERR_OK, "");
    table->call[1] = function("gone");
    check(ERR_MISSING_SYMBOL, GONE("call[1]"));
    table->call[1] = 0;
    table->own[1].call = function("retyped");
    check(ERR_WRONG_TYPE, RETYPED("own[1].call"));
    table->own[1].call = 0;
    table->item = item_of(item_of(first, 0), 0);
    first->call = function("gone");
    check(ERR_MISSING_SYMBOL, GONE("item->next->next->call"));
    first->next = table->item; /* a circle */
    check(ERR_MISSING_SYMBOL, GONE("item->next->next->call"));
    first->call = 0;
    first->next = block;
    block[2].call = function("retyped"); /* what the types do not say, the block's size does */
    check(ERR_WRONG_TYPE, RETYPED("item->...->next->next[2].call"));
    table->item = NULL;
    check(ERR_OK, "");
    table->all = all;
    all[3] = &block[2];
    check(ERR_WRONG_TYPE, RETYPED("all[3]->call"));
    table->all = NULL;
    table->tail = tail;
    ((struct item *)(tail + 1))[1].call = function("gone");
    check(ERR_MISSING_SYMBOL, GONE("tail->item[1].call"));
    table->tail = NULL;
    table->item = &table->own[1]; /* static data behind a pointer is bounded by its section */
    check(ERR_OK, "");
}
END_TEST

START_TEST(what_no_type_tells_of_is_let_be)
{
    struct item *item = item_of(NULL, function("gone"));

    item->number = table->own[0].number = function("gone");
    check(ERR_OK, ""); /* no typed pointer refers to the item; a number does not count */
    table->item = item;
    heap_free(item);
    check(ERR_OK, "");
    table->item = item_of(NULL, function("gone") + 1);
    check(ERR_OK, "");
}
END_TEST

START_TEST(opaque_types_are_looked_up)
{
    struct {
        struct note_pointers head;
        struct note_shape shape[1];
        struct note_field field[1];
        char names[8];
    } otherwise;
    uint64_t *away = heap_alloc(16);

    away[1] = function("gone");
    table->away = away;
    check(ERR_OK, "");
    load(cell_other("other", &of_other, sizeof of_other));
    check(ERR_MISSING_SYMBOL, GONE("away->call"));
    memcpy(&otherwise, &of_other, sizeof otherwise);
    otherwise.shape[0].layout++;
    load(cell_other("third", &otherwise, sizeof otherwise));
    check(ERR_OK, ""); /* whose it is, nobody knows */
}
END_TEST

START_TEST(wild_pointers_do_no_harm)
{
    static const uint64_t wild[] = {1,
                                    8,
                                    0xfff,
                                    UINT64_MAX,
                                    UINT64_MAX - 7,
                                    LAYOUT_CELL_VIRT,
                                    LAYOUT_CELL_END - 8,
                                    LAYOUT_DIRECT_VIRT,
                                    LAYOUT_PAGES_VIRT,
                                    LAYOUT_IMAGE_VIRT + LAYOUT_ARENA_PHYS,
                                    1ull << 47,
                                    0xdeadbeef00000000};
    uint64_t inside = (uint64_t)(uintptr_t)item_of(NULL, function("gone"));

    for (size_t i = 0; i < sizeof wild / sizeof *wild; i++) {
        table->item = (struct item *)wild[i];
        table->all = (struct item **)wild[i];
        table->tail = (uint64_t *)wild[i];
        check(ERR_OK, "");
    }
    table->all = NULL;
    table->tail = NULL;
    table->item = (struct item *)(inside + 4);
    check(ERR_OK, "");
    table->item = (struct item *)(uintptr_t)(arena_cell(callee)->text_virt); /* code is no object */
    check(ERR_OK, "");
}
END_TEST

START_TEST(many_objects_are_all_looked_at)
{
    struct item *last = item_of(NULL, 0);

    table->item = last;
    for (int i = 0; i < 5000; i++)
        table->item = item_of(table->item, function("kept"));
    check(ERR_OK, "");
    last->call = function("gone");
    check(ERR_MISSING_SYMBOL, GONE("item->...->next->next->call"));
}
END_TEST

/* A note that RAM has damaged since it was loaded is as none, but where its names seem to go on. */
START_TEST(damaged_notes_lead_nowhere)
{
    struct arena_object *object = arena_object(arena_cell(holder)->object);
    uint32_t *head = (uint32_t *)((uint8_t *)page_direct(object->phys) + arena_cell(holder)->pointers);

    table->call[1] = function("gone");
    for (size_t i = 0; i < sizeof of_holder.head / 4; i++)
        for (unsigned bit = 0; bit < 32; bit++) {
            uint32_t was = head[i];
            head[i] ^= 1u << bit;
            if (&head[i] == &((struct note_pointers *)head)->name_bytes)
                (void)swap_old(callee, cell_callee(2), SWAP_DRY_RUN);
            else
                check(ERR_OK, "");
            head[i] = was;
        }
    check(ERR_MISSING_SYMBOL, GONE("call[1]"));
}
END_TEST

/* The old cell's own data holds back only as far as it is carried over. */
START_TEST(data_that_is_given_up_does_not_hold_back)
{
    struct craft two = cell_holder(2);

    two.section[0].name = "gone"; /* its function, which nobody calls by a symbol */
    two.section[0].noted = true;
    table->call[0] = arena_section(arena_cell(holder)->first_section)->virt;
    for_each_section_of (s, holder)
        if (arena_section(s)->kind == SECTION_TEXT)
            table->call[0] = arena_section(s)->virt;
    ck_assert_int_eq(swap_old(holder, two, SWAP_DRY_RUN), ERR_MISSING_SYMBOL);
    ck_assert_str_eq(report.text, "cell holder: call[0] points to holder_use of cell holder, which has no counterpart");
    ck_assert_int_eq(swap_old(holder, two, SWAP_DRY_RUN | SWAP_FRESH_DATA), ERR_OK);
}
END_TEST

Suite *suite_hosted_pointers(void)
{
    Suite *suite = suite_create("hosted pointers");
    TCase *tc = tcase_create("walk");

    tcase_add_checked_fixture(tc, setup, NULL);
    tcase_add_test(tc, what_is_dangling_is_named);
    tcase_add_test(tc, what_no_type_tells_of_is_let_be);
    tcase_add_test(tc, opaque_types_are_looked_up);
    tcase_add_test(tc, wild_pointers_do_no_harm);
    tcase_add_test(tc, many_objects_are_all_looked_at);
    tcase_add_test(tc, damaged_notes_lead_nowhere);
    tcase_add_test(tc, data_that_is_given_up_does_not_hold_back);
    suite_add_tcase(suite, tc);
    return suite;
}
