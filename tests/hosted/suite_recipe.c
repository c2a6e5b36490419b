/* Transfer recipes: what they do to bytes, and that hostile ones are refused before they do anything. */
#include "cells/evolve/plan/recipe.h"
#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

Suite *suite_hosted_recipe(void);

static struct {
    struct recipe_set set;
    struct recipe recipe[2];
    struct recipe_move move[4];
    char text[32];
} blob __attribute__((aligned(8)));

#define TEXT "\0list[].n\0does not fit" /* offsets 1 and 10 */

static struct recipe_side old_side, new_side;
static struct report report;
static struct recipes recipes;

#define GO(kind_, count_, from_, to_, from_width_, to_width_, from_stride_, to_stride_)                                \
    ((struct recipe_move){.kind = kind_,                                                                               \
                          .count = count_,                                                                             \
                          .from = from_,                                                                               \
                          .to = to_,                                                                                   \
                          .from_width = from_width_,                                                                   \
                          .to_width = to_width_,                                                                       \
                          .from_stride = from_stride_,                                                                 \
                          .to_stride = to_stride_})

/* One recipe of `moves` moves from a section of `old_bytes` to one of `new_bytes`. */
static void prepare(uint32_t moves, uint32_t old_bytes, uint32_t new_bytes)
{
    blob.set = (struct recipe_set){
        .version = RECIPE_VERSION, .bytes = sizeof blob, .recipes = 2, .moves = 4, .text = sizeof blob.text};
    memset(blob.move, 0, sizeof blob.move);
    memcpy(blob.text, TEXT, sizeof TEXT);
    blob.recipe[0] = (struct recipe){.old_object = 1,
                                     .new_object = 2,
                                     .old_section = 3,
                                     .new_section = 4,
                                     .old_bytes = old_bytes,
                                     .new_bytes = new_bytes,
                                     .old_type = 5,
                                     .new_type = 6,
                                     .old_deep = 7,
                                     .new_deep = 8,
                                     .moves = moves};
    blob.recipe[1] = (struct recipe){.old_object = 1, .old_section = 9}; /* given up */
    old_side = (struct recipe_side){.object = 1, .section = 3, .bytes = old_bytes, .type = 5, .deep = 7};
    new_side = (struct recipe_side){.object = 2, .section = 4, .bytes = new_bytes, .type = 6, .deep = 8};
}

static enum err check(void)
{
    uint8_t *written = malloc(new_side.bytes + !new_side.bytes);
    enum err err = recipes_open(&blob, sizeof blob, &recipes, &report);

    ck_assert_ptr_nonnull(written);
    if (!err)
        err = recipe_check(&recipes, &blob.recipe[0], &old_side, &new_side, written, &report);
    free(written);
    return err;
}

struct before {
    int8_t a;
    uint8_t b;
    int16_t c[3];
    uint64_t d;
    struct {
        uint8_t x, y;
    } e[2];
};
struct after {
    uint64_t d;
    int32_t a, added;
    int64_t c[4];
    struct {
        uint8_t y;
        uint32_t x;
    } e[3];
    uint32_t b;
};

START_TEST(moves_do_what_they_say)
{
    const struct before from = {-5, 200, {-1, 300, -32768}, 1ull << 63, {{250, 2}, {3, 4}}};
    struct after to = {.added = 77, .c = {[3] = -9}, .e = {[2] = {8, 9}}};
    const struct recipe_move moves[] = {
        GO(RECIPE_COPY, 1, offsetof(struct before, d), offsetof(struct after, d), 8, 8, 0, 0),
        GO(RECIPE_SIGN_EXTEND, 1, offsetof(struct before, a), offsetof(struct after, a), 1, 4, 0, 0),
        GO(RECIPE_ZERO_EXTEND, 1, offsetof(struct before, b), offsetof(struct after, b), 1, 4, 0, 0),
        GO(RECIPE_SIGN_EXTEND, 3, offsetof(struct before, c), offsetof(struct after, c), 2, 8, 2, 8),
    };
    const struct recipe_move more[] = {
        GO(RECIPE_ZERO_EXTEND, 2, offsetof(struct before, e[0].x), offsetof(struct after, e[0].x), 1, 4, 2, 8),
        GO(RECIPE_COPY, 2, offsetof(struct before, e[0].y), offsetof(struct after, e[0].y), 1, 1, 2, 8),
    };

    prepare(4, sizeof from, sizeof to);
    memcpy(blob.move, moves, sizeof moves);
    ck_assert_msg(check() == ERR_OK, "%s", report.text);
    recipe_apply(&recipes, &blob.recipe[0], &from, &to);
    prepare(2, sizeof from, sizeof to);
    memcpy(blob.move, more, sizeof more);
    ck_assert_msg(check() == ERR_OK, "%s", report.text);
    recipe_apply(&recipes, &blob.recipe[0], &from, &to);
    ck_assert(to.d == 1ull << 63 && to.a == -5 && to.b == 200 && to.added == 77);
    ck_assert(to.c[0] == -1 && to.c[1] == 300 && to.c[2] == -32768 && to.c[3] == -9);
    ck_assert(to.e[0].x == 250 && to.e[0].y == 2 && to.e[1].x == 3 && to.e[1].y == 4);
    ck_assert(to.e[2].y == 8 && to.e[2].x == 9);
}
END_TEST

START_TEST(bits_move_too)
{
    struct {
        int a : 3;
        unsigned b : 5, c : 20;
        uint64_t d : 60;
    } from = {-3, 21, 0xabcde, 0xfedcba987654321};
    struct {
        unsigned c : 20;
        uint32_t b, added : 4;
        int a : 7;
        uint64_t d : 64;
    } to = {.added = 9};

    prepare(4, sizeof from, sizeof to);
    blob.move[0] = GO(RECIPE_SIGN_BITS, 1, 0, 64 + 4, 3, 7, 0, 0);
    blob.move[1] = GO(RECIPE_ZERO_BITS, 1, 3, 32, 5, 32, 0, 0);
    blob.move[2] = GO(RECIPE_ZERO_BITS, 1, 8, 0, 20, 20, 0, 0);
    blob.move[3] = GO(RECIPE_ZERO_BITS, 1, 64, 128, 60, 64, 0, 0);
    ck_assert_msg(check() == ERR_OK, "%s", report.text);
    recipe_apply(&recipes, &blob.recipe[0], &from, &to);
    ck_assert(to.a == -3 && to.b == 21 && to.c == 0xabcde && to.d == 0xfedcba987654321 && to.added == 9);
}
END_TEST

START_TEST(pointers_are_found_again)
{
    uint32_t at;

    prepare(4, 64, 96);
    blob.move[2] = GO(RECIPE_PLACE, 1, 0, 0, 0, 0, 0, 0);
    blob.move[3] = GO(RECIPE_PLACE, 2, 24, 64, 0, 0, 28, 4);
    blob.move[0] = GO(RECIPE_COPY, 2, 0, 32, 16, 16, 24, 32);
    blob.move[1] = GO(RECIPE_ZERO_EXTEND, 1, 48, 0, 4, 8, 0, 0);
    ck_assert_msg(check() == ERR_OK, "%s", report.text);
    const struct recipe *r = recipes_find(&recipes, 1, 3);
    ck_assert_ptr_eq(r, &blob.recipe[0]);
    ck_assert_ptr_null(recipes_find(&recipes, 1, 5));
    ck_assert_ptr_null(recipes_find(&recipes, 2, 3));
    ck_assert(recipe_new_offset(&recipes, r, 8, 8, &at) && at == 40);
    ck_assert(recipe_new_offset(&recipes, r, 24, 8, &at) && at == 64);
    ck_assert(recipe_old_offset(&recipes, r, 72, 8, &at) && at == 32);
    ck_assert(!recipe_new_offset(&recipes, r, 16, 8, &at)); /* between two elements */
    ck_assert(!recipe_new_offset(&recipes, r, 12, 8, &at)); /* reaches out of one */
    ck_assert(!recipe_new_offset(&recipes, r, 48, 4, &at)); /* is widened */
    ck_assert(!recipe_old_offset(&recipes, r, 0, 8, &at));
    ck_assert(!recipe_old_offset(&recipes, r, 48, 8, &at));
    ck_assert(recipe_new_target(&recipes, r, 8, &at) && at == 40);
    ck_assert(recipe_new_target(&recipes, r, 24, &at) && at == 64); /* both moves give this place */
    ck_assert(recipe_new_target(&recipes, r, 52, &at) && at == 68); /* the structure, whatever is in it */
    ck_assert(!recipe_new_target(&recipes, r, 0, &at));             /* the structure or its first field */
    ck_assert(!recipe_new_target(&recipes, r, 48, &at));            /* widened */
    ck_assert(!recipe_new_target(&recipes, r, 56, &at));
    ck_assert(!recipe_new_target(&recipes, r, 80, &at));
}
END_TEST

START_TEST(an_empty_recipe_is_sound)
{
    prepare(0, 8, 16); /* everything is fresh */
    ck_assert_int_eq(check(), ERR_OK);
    const struct recipe *given_up = recipes_find(&recipes, 1, 9);
    ck_assert(given_up && recipe_drops(given_up) && !recipe_drops(&blob.recipe[0]));
    old_side = (struct recipe_side){.object = 1, .section = 9, .bytes = 8, .type = 5, .deep = 7};
    ck_assert_int_eq(recipe_check(&recipes, given_up, &old_side, NULL, NULL, &report), ERR_CORRUPT);
    blob.recipe[1].old_bytes = 8, blob.recipe[1].old_type = 5, blob.recipe[1].old_deep = 7;
    ck_assert_int_eq(recipe_check(&recipes, given_up, &old_side, NULL, NULL, &report), ERR_OK);
    ck_assert_int_eq(recipe_check(&recipes, given_up, &old_side, &new_side, NULL, &report), ERR_CORRUPT);
    blob.recipe[1].new_bytes = 1;
    ck_assert_int_eq(recipe_check(&recipes, given_up, &old_side, NULL, NULL, &report), ERR_CORRUPT);
}
END_TEST

/* Of sections of 16 and 32 bytes. */
static const struct recipe_move bad[][2] = {
    {GO(0, 1, 0, 0, 4, 4, 0, 0)},
    {GO(RECIPE_KINDS, 1, 0, 0, 4, 4, 0, 0)},
    {GO(RECIPE_PLACE, 1, 0, 0, 4, 4, 0, 0)},
    {GO(RECIPE_PLACE, 3, 0, 0, 0, 0, 8, 17)},
    {GO(RECIPE_PLACE, UINT32_MAX, 0, 0, 0, 0, 1, 0)},
    {GO(RECIPE_COPY, 0, 0, 0, 4, 4, 0, 0)},
    {GO(RECIPE_COPY, 1, 0, 0, 0, 0, 0, 0)},
    {GO(RECIPE_COPY, 1, 0, 0, 4, 8, 0, 0)},
    {GO(RECIPE_COPY, 1, 13, 0, 4, 4, 0, 0)},
    {GO(RECIPE_COPY, 1, 0, 29, 4, 4, 0, 0)},
    {GO(RECIPE_COPY, 1, UINT32_MAX, 0, 4, 4, 0, 0)},
    {GO(RECIPE_COPY, 1, 0, UINT32_MAX - 3, 4, 4, 0, 0)},
    {GO(RECIPE_COPY, 1, 0, 0, UINT32_MAX, UINT32_MAX, 0, 0)},
    {GO(RECIPE_COPY, 3, 0, 0, 4, 4, 7, 4)},
    {GO(RECIPE_COPY, UINT32_MAX, 0, 0, 4, 4, UINT32_MAX, UINT32_MAX)},
    {GO(RECIPE_COPY, UINT32_MAX, 0, 0, 4, 4, 0, 0)},
    {GO(RECIPE_COPY, 2, 0, 0, 4, 4, 4, 3)},
    {GO(RECIPE_COPY, 1, 0, 8, 4, 4, 0, 0), GO(RECIPE_COPY, 1, 0, 11, 4, 4, 0, 0)},
    {GO(RECIPE_COPY, 1, 0, 8, 4, 4, 0, 0), GO(RECIPE_ZERO_BITS, 1, 0, 95, 1, 1, 0, 0)},
    {GO(RECIPE_ZERO_EXTEND, 1, 0, 0, 4, 4, 0, 0)},
    {GO(RECIPE_ZERO_EXTEND, 1, 0, 0, 8, 4, 0, 0)},
    {GO(RECIPE_SIGN_EXTEND, 1, 0, 0, 3, 4, 0, 0)},
    {GO(RECIPE_SIGN_EXTEND, 1, 0, 0, 4, 16, 0, 0)},
    {GO(RECIPE_ZERO_BITS, 1, 0, 0, 3, 2, 0, 0)},
    {GO(RECIPE_ZERO_BITS, 1, 0, 0, 1, 65, 0, 0)},
    {GO(RECIPE_ZERO_BITS, 1, 0, 0, 0, 1, 0, 0)},
    {GO(RECIPE_SIGN_BITS, 1, 127, 0, 2, 2, 0, 0)},
    {GO(RECIPE_SIGN_BITS, 1, 0, 255, 2, 2, 0, 0)},
    {GO(RECIPE_SIGN_BITS, 4, 0, 0, 2, 4, 2, 3)},
    {GO(RECIPE_CUT_BITS, 1, 0, 0, 4, 4, 0, 0)},
    {GO(RECIPE_CUT_BITS, 1, 0, 0, 65, 4, 0, 0)},
    {GO(RECIPE_CUT_BITS, 1, 0, 0, 4, 0, 0, 0)},
    {GO(RECIPE_CUT_BITS, 1, 125, 0, 4, 3, 0, 0)},
    {GO(RECIPE_CUT_BITS, 1, 0, 8, 4, 3, 0, 0), GO(RECIPE_COPY, 1, 0, 1, 1, 1, 0, 0)},
    {GO(RECIPE_REFUSE_SIGNED, 0, 0, 0, 8, 0, 0, 0)},
    {GO(RECIPE_REFUSE_SIGNED, 1, 0, 0, 0, 0, 0, 0)},
    {GO(RECIPE_REFUSE_SIGNED, 1, 0, 0, 65, 0, 0, 0)},
    {GO(RECIPE_REFUSE_SIGNED, 1, 0, 1, 8, 0, 0, 0)},
    {GO(RECIPE_REFUSE_SIGNED, 1, 0, 0, 8, 8, 0, 0)},
    {GO(RECIPE_REFUSE_UNSIGNED, 1, 121, 0, 8, 0, 0, 0)},
    {GO(RECIPE_REFUSE_UNSIGNED, 2, 0, 0, 8, 0, 7, 0)},
    {GO(RECIPE_REFUSE_UNSIGNED, UINT32_MAX, 0, 0, 8, 0, 0, 0)},
    {GO(RECIPE_REFUSE_FLAGS, 17, 0, 0, 8, 0, 8, 0)},
    {GO(RECIPE_REFUSE_USED, 1, 0, 0, 17, 0, 0, 0)},
    {GO(RECIPE_REFUSE_USED, 1, 0, 0, UINT32_MAX, 0, 0, 0)},
};

/* { value, kind, low, high, refused } of 16 bits in the third of four elements */
static const struct {
    uint16_t value;
    uint32_t kind;
    uint64_t low, high;
    bool refused;
} checked[] = {
    {5, RECIPE_REFUSE_UNSIGNED, 5, 5, true},
    {4, RECIPE_REFUSE_UNSIGNED, 5, 5, false},
    {6, RECIPE_REFUSE_UNSIGNED, 5, 5, false},
    {65535, RECIPE_REFUSE_UNSIGNED, 256, UINT64_MAX, true},
    {255, RECIPE_REFUSE_UNSIGNED, 256, UINT64_MAX, false},
    {65535, RECIPE_REFUSE_SIGNED, 128, -129ull, false}, /* -1, and all but -128 to 127 */
    {127, RECIPE_REFUSE_SIGNED, 128, -129ull, false},
    {128, RECIPE_REFUSE_SIGNED, 128, -129ull, true},
    {0xff80, RECIPE_REFUSE_SIGNED, 128, -129ull, false},
    {0xff7f, RECIPE_REFUSE_SIGNED, 128, -129ull, true},
    {12, RECIPE_REFUSE_FLAGS, 3, 0, false},
    {14, RECIPE_REFUSE_FLAGS, 3, 0, true},
};

START_TEST(values_are_refused)
{
    uint16_t old[4] = {[2] = checked[_i].value};
    char want[64];
    bool negative = checked[_i].kind == RECIPE_REFUSE_SIGNED && (int16_t)checked[_i].value < 0;

    prepare(1, sizeof old, sizeof old);
    blob.move[0] = GO(checked[_i].kind, 4, 0, 0, 16, 0, 16, 0);
    blob.move[0].low = checked[_i].low, blob.move[0].high = checked[_i].high;
    blob.move[0].field = 1, blob.move[0].why = 10, blob.move[0].first = 7;
    ck_assert_msg(check() == ERR_OK, "%s", report.text);
    enum err e = recipe_refuse_values(&recipes, &blob.recipe[0], "c", old, &report);
    ck_assert_int_eq(e, checked[_i].refused ? ERR_RANGE : ERR_OK);
    snprintf(want, sizeof want, "c.list[9].n is %s%u, does not fit", negative ? "-" : "",
             negative ? 65536u - checked[_i].value : checked[_i].value);
    if (checked[_i].refused)
        ck_assert_str_eq(report.text, want);
}
END_TEST

START_TEST(used_bytes_are_refused)
{
    uint8_t old[24] = {0};

    prepare(1, sizeof old, 8);
    blob.move[0] = GO(RECIPE_REFUSE_USED, 2, 1, 0, 11, 0, 12, 0);
    ck_assert_msg(check() == ERR_OK, "%s", report.text);
    for (uint32_t i = 0; i < sizeof old; i++) {
        old[i] = 1;
        ck_assert_int_eq(recipe_refuse_values(&recipes, &blob.recipe[0], "c", old, &report),
                         i % 12 == 0 ? ERR_OK : ERR_RANGE);
        old[i] = 0;
    }
}
END_TEST

START_TEST(bits_are_cut)
{
    const uint64_t from = 0xffff123456789abc;
    uint64_t to = 0x1111111111111111;

    prepare(1, 8, 8);
    blob.move[0] = GO(RECIPE_CUT_BITS, 2, 0, 4, 32, 12, 32, 32);
    ck_assert_msg(check() == ERR_OK, "%s", report.text);
    recipe_apply(&recipes, &blob.recipe[0], &from, &to);
    ck_assert_uint_eq(to, 0x111123411111abc1);
}
END_TEST

struct plan {
    uint64_t from, to; /* an address and what takes its place */
};

static uint64_t redirect(const struct plan *plan, uint64_t word)
{
    return word == plan->from ? plan->to : 0;
}

struct old_state {
    uint64_t pointer, kept;
    uint32_t count;
    int16_t level;
    uint8_t odd[2];
};
struct new_state {
    uint64_t added, pointer, kept, count;
    int64_t level;
    uint8_t odd[2];
};

/* What changes while data is carried is moved again, and back after a fault; nothing else is touched. */
START_TEST(changes_are_moved_again)
{
    const struct plan plan = {0x1000, 0x2000}, plan_back = {0x2000, 0x1000};
    const struct old_state was = {0x500, 7, 3, -4, {1, 2}};
    struct old_state old = was;
    struct new_state new_ = {.added = 99};

    prepare(4, sizeof old, sizeof new_);
    blob.move[0] = GO(RECIPE_COPY, 1, 0, offsetof(struct new_state, pointer), 16, 16, 0, 0);
    blob.move[1] = GO(RECIPE_ZERO_EXTEND, 1, 16, offsetof(struct new_state, count), 4, 8, 0, 0);
    blob.move[2] = GO(RECIPE_SIGN_EXTEND, 1, 20, offsetof(struct new_state, level), 2, 8, 0, 0);
    blob.move[3] = GO(RECIPE_COPY, 2, 22, offsetof(struct new_state, odd), 1, 1, 1, 1);
    ck_assert_msg(check() == ERR_OK, "%s", report.text);
    recipe_apply(&recipes, &blob.recipe[0], &old, &new_);
    new_.kept = 0x777; /* redirected since */
    old.pointer = 0x1000, old.count = 0xffffffff, old.odd[1] = 9;
    recipe_apply_changes(&recipes, &blob.recipe[0], &old, &was, &new_, redirect, &plan);
    ck_assert(new_.added == 99 && new_.pointer == 0x2000 && new_.kept == 0x777 && new_.count == 0xffffffff);
    ck_assert(new_.level == -4 && new_.odd[0] == 1 && new_.odd[1] == 9);

    const struct new_state after = new_;
    const struct old_state before = old;
    new_.level = -300, new_.added = 100, new_.odd[0] = 8, new_.kept = 0x2000;
    recipe_undo_changes(&recipes, &blob.recipe[0], &old, &new_, &after, redirect, &plan_back);
    ck_assert(old.pointer == before.pointer && old.kept == 0x1000 && old.count == before.count);
    ck_assert(old.level == -300 && old.odd[0] == 8 && old.odd[1] == 9);
}
END_TEST

START_TEST(what_is_dropped_moves_nothing)
{
    prepare(1, 8, 8);
    blob.recipe[1] = (struct recipe){
        .old_object = 1, .old_section = 9, .old_bytes = 8, .old_type = 5, .old_deep = 7, .first_move = 1, .moves = 1};
    old_side.section = 9;
    blob.move[1] = GO(RECIPE_REFUSE_USED, 1, 0, 0, 8, 0, 0, 0);
    ck_assert_int_eq(recipes_open(&blob, sizeof blob, &recipes, &report), ERR_OK);
    ck_assert_int_eq(recipe_check(&recipes, &blob.recipe[1], &old_side, NULL, NULL, &report), ERR_OK);
    blob.move[1].from = 1;
    ck_assert_int_eq(recipe_check(&recipes, &blob.recipe[1], &old_side, NULL, NULL, &report), ERR_CORRUPT);
    blob.move[1] = GO(RECIPE_COPY, 1, 0, 0, 8, 8, 0, 0);
    ck_assert_int_eq(recipe_check(&recipes, &blob.recipe[1], &old_side, NULL, NULL, &report), ERR_CORRUPT);
}
END_TEST

START_TEST(looking_ends)
{
    prepare(4, 1 << 20, 8);
    for (int i = 0; i < 4; i++)
        blob.move[i] = GO(RECIPE_REFUSE_UNSIGNED, 1 << 18, 0, 0, 8, 0, 8, 0);
    ck_assert_msg(check() == ERR_OK, "%s", report.text);
    blob.move[3].count++;
    ck_assert_int_eq(check(), ERR_CORRUPT);
}
END_TEST

START_TEST(bad_moves_are_refused)
{
    prepare(bad[_i][1].kind ? 2 : 1, 16, 32);
    memcpy(blob.move, bad[_i], sizeof bad[_i]);
    ck_assert_int_eq(check(), ERR_CORRUPT);
    ck_assert(report.text[0]);
}
END_TEST

START_TEST(a_recipe_is_for_two_versions_only)
{
    struct recipe_side *side[] = {&old_side, &new_side};

    for (int i = 0; i < 2; i++) {
        prepare(0, 8, 8);
        side[i]->object++;
        ck_assert_int_eq(check(), ERR_CORRUPT);
        prepare(0, 8, 8);
        side[i]->section++;
        ck_assert_int_eq(check(), ERR_CORRUPT);
        prepare(0, 8, 8);
        side[i]->bytes++;
        ck_assert_int_eq(check(), ERR_CORRUPT);
        prepare(0, 8, 8);
        side[i]->type++;
        ck_assert_int_eq(check(), ERR_CORRUPT);
        prepare(0, 8, 8);
        side[i]->deep++;
        ck_assert_int_eq(check(), ERR_CORRUPT);
    }
    prepare(0, 8, 8); /* a type that is not known fits none */
    blob.recipe[0].new_type = new_side.type = 0;
    ck_assert_int_eq(check(), ERR_CORRUPT);
}
END_TEST

START_TEST(bad_sets_are_refused)
{
    uint32_t *field[] = {&blob.set.version,          &blob.set.bytes,       &blob.set.recipes, &blob.set.moves,
                         &blob.recipe[0].first_move, &blob.recipe[1].moves, &blob.set.text,    &blob.move[0].field,
                         &blob.move[3].why};
    const uint32_t value[] = {UINT32_MAX, UINT32_MAX / sizeof(struct recipe) + 1, 0x80000000, 33};

    for (size_t i = 0; i < array_size(field); i++)
        for (size_t k = 0; k < array_size(value); k++) {
            prepare(0, 8, 8);
            ck_assert_int_eq(recipes_open(&blob, sizeof blob, &recipes, &report), ERR_OK);
            *field[i] = value[k];
            ck_assert_int_eq(recipes_open(&blob, sizeof blob, &recipes, &report), ERR_CORRUPT);
        }
    for (size_t i = 0; i < 3; i++) {
        prepare(0, 8, 8);
        blob.text[i == 2 ? sizeof blob.text - 1 : i] = "a\x1b!"[i];
        ck_assert_int_eq(recipes_open(&blob, sizeof blob, &recipes, &report), ERR_CORRUPT);
    }
    prepare(0, 8, 8);
    blob.recipe[1].old_section = 3;
    ck_assert_int_eq(recipes_open(&blob, sizeof blob, &recipes, &report), ERR_CORRUPT);
    prepare(0, 8, 8);
    blob.recipe[1].new_object = 2, blob.recipe[1].new_section = 4;
    ck_assert_int_eq(recipes_open(&blob, sizeof blob, &recipes, &report), ERR_CORRUPT);
    prepare(0, 8, 8);
    for (size_t bytes = 0; bytes < sizeof blob; bytes++)
        ck_assert_int_eq(recipes_open(&blob, bytes, &recipes, NULL), ERR_CORRUPT);
    ck_assert_int_eq(recipes_open((uint8_t *)&blob + 4, sizeof blob - 4, &recipes, NULL), ERR_CORRUPT);
}
END_TEST

Suite *suite_hosted_recipe(void)
{
    Suite *s = suite_create("hosted recipe");
    TCase *tc = tcase_create("recipe");

    tcase_add_test(tc, moves_do_what_they_say);
    tcase_add_test(tc, bits_move_too);
    tcase_add_test(tc, pointers_are_found_again);
    tcase_add_test(tc, an_empty_recipe_is_sound);
    tcase_add_loop_test(tc, values_are_refused, 0, array_size(checked));
    tcase_add_test(tc, used_bytes_are_refused);
    tcase_add_test(tc, bits_are_cut);
    tcase_add_test(tc, changes_are_moved_again);
    tcase_add_test(tc, what_is_dropped_moves_nothing);
    tcase_add_test(tc, looking_ends);
    tcase_add_loop_test(tc, bad_moves_are_refused, 0, array_size(bad));
    tcase_add_test(tc, a_recipe_is_for_two_versions_only);
    tcase_add_test(tc, bad_sets_are_refused);
    suite_add_tcase(s, tc);
    return s;
}
