/* Injections into registers, and into records of the arena, on a made-up arena. */
#include <check.h>
#include <stdlib.h>
#include <string.h>
#include "injector/inject.h"
#include "tests/unit/arena_build.h"

static uint8_t *ram;
static struct view *view;
static struct why why;

static void setup(void)
{
    enum err e;

    ram = build_ram();
    view = view_take(ram, BUILD_RAM, &e);
    ck_assert_ptr_nonnull(view);
}

static void teardown(void)
{
    view_free(view);
    free(ram);
}

static const struct {
    const char *words, *where;
} register_cases[] = {
    {"register:rip", "register:rip"},
    {"register:r15@symbol:alpha_run", "register:r15@alpha:.text.alpha_run+"},
    {"register:rflags@cell:alpha", "register:rflags@alpha:.text.alpha_run+"},
};

START_TEST(changes_registers)
{
    struct place place;
    struct model_use use;
    struct injection injection = {0};
    uint64_t bits = 0;
    char where[160];

    ck_assert_int_eq(model_parse("flip", &use, &why), ERR_OK);
    ck_assert_msg(place_parse(register_cases[_i].words, &place, &why) == ERR_OK, "%s", why.text);
    for (uint64_t seed = 0; seed < 2000; seed++) {
        struct change *c = injection.change, again = {.phys = 1, .offset = 2};

        ck_assert_int_eq(inject_plan(view, &place, &use, &(struct prng){seed}, &injection, &why), ERR_OK);
        ck_assert_uint_eq(injection.changes, 1);
        ck_assert_uint_eq(change_value(c, change_value(c, 77)), 77);
        ck_assert_int_eq(change_bit(c), __builtin_ctzll(c->flip));
        ck_assert_int_eq(change_waits(c), place.kind != PLACE_REGISTER);
        ck_assert_str_eq(inject_kind(view, c), "register");
        bits |= c->flip;
        inject_where(view, c, where, sizeof where);
        ck_assert_int_eq(strncmp(where, register_cases[_i].where, strlen(register_cases[_i].where)), 0);
        ck_assert_int_eq(inject_find(view, where, &again, &why), ERR_OK);
        ck_assert_int_eq(again.reg, c->reg);
        ck_assert_uint_eq(again.section.index, c->section.index);
        ck_assert(!c->section.index || (again.offset == c->offset && inject_gva(view, &again) == inject_gva(view, c)));
    }
    ck_assert_uint_eq(bits, register_bits(place.reg));
}
END_TEST

START_TEST(draws_a_register)
{
    struct place place;
    struct model_use use;
    struct injection injection;
    uint64_t drawn = 0;

    ck_assert_int_eq(place_parse("register:*", &place, &why), ERR_OK);
    ck_assert_int_eq(model_parse("zero", &use, &why), ERR_OK);
    for (uint64_t seed = 0; seed < 2000; seed++) {
        ck_assert_int_eq(inject_plan(view, &place, &use, &(struct prng){seed}, &injection, &why), ERR_OK);
        drawn |= UINT64_C(1) << injection.change[0].reg;
        uint64_t bits = register_bits(injection.change[0].reg);
        ck_assert_uint_eq(change_value(injection.change, UINT64_MAX), ~bits);
    }
    ck_assert_uint_eq(drawn, (UINT64_C(1) << REGISTER_ANY) - 2);
    ck_assert_int_eq(model_parse("trap", &use, &why), ERR_OK);
    ck_assert_int_eq(inject_plan(view, &place, &use, &(struct prng){1}, &injection, &why), ERR_INVALID);
    ck_assert_ptr_nonnull(strstr(why.text, "not for registers"));
    for (size_t i = 0; i < 6; i++)
        ck_assert_int_eq(place_parse((const char *[]){"register:", "register:eax", "register:rax@", "register:rax@heap",
                                                      "register:RAX", "register:rax@register:rax"}[i],
                                     &place, &why),
                         ERR_INVALID);
}
END_TEST

START_TEST(finds_records_of_the_arena)
{
    struct place place;
    struct place_ranges ranges;
    struct change c = {0}, again = {0};
    char where[160];

    ck_assert_int_eq(place_parse("arena:tasks", &place, &why), ERR_OK);
    ck_assert_int_eq(place_resolve(&place, view, &ranges, &why), ERR_OK);
    for (size_t i = 0; i < ranges.count; i++) {
        ck_assert_uint_eq(ranges.range[i].bytes, sizeof(struct arena_task));
        ck_assert(view_is_in_arena(view, ranges.range[i].phys, ranges.range[i].bytes));
    }
    c.phys = ranges.range[0].phys + 5;
    place_ranges_done(&ranges);
    inject_where(view, &c, where, sizeof where);
    ck_assert_str_eq(where, "arena:tasks+0x95"); /* record 1 */
    ck_assert_str_eq(inject_kind(view, &c), "records");
    ck_assert_int_eq(inject_find(view, where, &again, &why), ERR_OK);
    ck_assert_uint_eq(again.phys, c.phys);
    for (size_t i = 0; i < 3; i++)
        ck_assert_int_eq(place_parse((const char *[]){"arena:", "arena:strings", "arena:tasks:x"}[i], &place, &why),
                         ERR_INVALID);
    ck_assert_int_eq(inject_find(view, "arena:tasks+0x99999999", &again, &why), ERR_NOT_FOUND);
    ck_assert_int_eq(place_parse("arena:faults", &place, &why), ERR_OK); /* the longest records */
    ck_assert_int_eq(place_resolve(&place, view, &ranges, &why), ERR_OK);
    ck_assert(ranges.count && ranges.range[0].bytes == sizeof(struct arena_fault));
    place_ranges_done(&ranges);
}
END_TEST

Suite *suite_registers(void);
Suite *suite_registers(void)
{
    Suite *s = suite_create("registers");
    TCase *tc = tcase_create("registers");

    tcase_add_checked_fixture(tc, setup, teardown);
    tcase_add_loop_test(tc, changes_registers, 0, sizeof register_cases / sizeof *register_cases);
    tcase_add_test(tc, draws_a_register);
    tcase_add_test(tc, finds_records_of_the_arena);
    suite_add_tcase(s, tc);
    return s;
}
