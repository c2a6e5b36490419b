/* The fault log over a reset: what an earlier boot has left is kept as far as it is sound, whatever bytes there are. */
#include "guest/abi/layout.h"
#include "cells/core/page/page.h"
#undef LAYOUT_DIRECT_VIRT
#define LAYOUT_DIRECT_VIRT ((uint64_t)page_direct(0))
#include "cells/recover/fault/kept.c"
#include "tests/hosted/stand_in.h"
#include <check.h>
#include <stdlib.h>
#include <string.h>

Suite *suite_hosted_kept(void);

static void setup(void)
{
    stand_in_start();
    ck_assert_msg(stand_in_boot("build/delias.elf", "build/cells.archive"), "%s", stand_in.printed);
}

/* What a reset does: the header is made again, and the log stays as it is. */
static void reset(void)
{
    arena_header()->boot = 0;
    arena_header()->fault_seq = 0;
    kept_take_over();
}

static void boot_first(void)
{
    memset(fault_at(0), 0, sizeof(struct arena_fault) * ARENA_FAULTS_MAX);
    reset();
}

static struct arena_fault *log_one(enum fault_outcome outcome)
{
    uint64_t seq = ++arena_header()->fault_seq;
    struct arena_fault *fault = fault_slot(seq);

    memset(fault, 0, sizeof *fault);
    fault->kind = FAULT_PANIC;
    fault->boot = arena_header()->boot;
    fault->time_ns = 5;
    fault->task = (struct task_ref){3};
    fault->cell = (struct cell_ref){4};
    fault->section = (struct section_ref){5};
    strcpy(fault->cell_name, "channel");
    strcpy(fault->message, "assertion");
    fault_publish(fault, seq);
    fault->outcome = outcome;
    return fault;
}

static unsigned count_kept(bool resets)
{
    unsigned count = 0;

    for (uint32_t i = 1; i < ARENA_FAULTS_MAX; i++)
        count += fault_at(i)->seq && (fault_at(i)->kind == FAULT_RESET) == resets;
    return count;
}

static unsigned kept(void)
{
    return count_kept(false);
}

START_TEST(memory_that_was_cleared_has_no_faults)
{
    boot_first();
    ck_assert_uint_eq(arena_header()->boot, 1);
    ck_assert_uint_eq(arena_header()->fault_seq, 0);
    ck_assert_uint_eq(kept(), 0);
    ck_assert_uint_eq(count_kept(true), 0);
}
END_TEST

/* Once for each boot that ended without a word. */
START_TEST(a_reset_without_a_reason_is_logged)
{
    boot_first();
    reset();
    ck_assert_uint_eq(count_kept(true), 1);
    ck_assert_uint_eq(arena_header()->fault_seq, 1);
    ck_assert_uint_eq(fault_slot(1)->boot, 1);
    ck_assert_uint_eq(fault_slot(1)->steps, 1);
    for (unsigned i = 0; i < FAULT_STEPS_KEPT + 3; i++) {
        struct arena_fault *fault = log_one(FAULT_OUTCOME_FAILED);
        for (unsigned n = 0; n < i; n++)
            fault_step(fault, n % 2 ? FAULT_STEP_RELOAD : FAULT_STEP_UNWOUND, 1, NO_CELL);
        fault_step(fault, FAULT_STEP_RESET, 1, NO_CELL);
        reset();
        ck_assert_uint_eq(count_kept(true), 1);
    }
    reset();
    ck_assert_uint_eq(count_kept(true), 2);
}
END_TEST

START_TEST(faults_are_kept_and_open_ones_closed)
{
    boot_first();
    log_one(FAULT_OUTCOME_RECOVERED);
    log_one(FAULT_OUTCOME_OPEN);
    reset();
    ck_assert_uint_eq(arena_header()->boot, 2);
    ck_assert_uint_eq(arena_header()->fault_seq, 3); /* and the reset */
    ck_assert_uint_eq(fault_slot(1)->outcome, FAULT_OUTCOME_RECOVERED);
    ck_assert_uint_eq(fault_slot(2)->outcome, FAULT_OUTCOME_LOST);
    ck_assert_str_eq(fault_slot(2)->cell_name, "channel");
    ck_assert_uint_eq(fault_slot(2)->task.index | fault_slot(2)->cell.index | fault_slot(2)->section.index, 0);
    kept_take_over(); /* again: a copy of the cell begins */
    ck_assert_uint_eq(arena_header()->boot, 2);
    log_one(FAULT_OUTCOME_FAILED);
    reset();
    ck_assert_uint_eq(arena_header()->boot, 3);
    ck_assert_uint_eq(fault_slot(1)->boot, 1);
    ck_assert_uint_eq(fault_slot(4)->boot, 2);
    ck_assert_uint_eq(kept(), 3);
}
END_TEST

START_TEST(the_oldest_give_way)
{
    boot_first();
    for (unsigned i = 0; i < ARENA_FAULTS_MAX + 20; i++)
        log_one(FAULT_OUTCOME_RECOVERED);
    reset();
    ck_assert_uint_eq(arena_header()->fault_seq, ARENA_FAULTS_MAX + 20 + 1);
    ck_assert_uint_eq(kept(), FAULT_SLOTS - 1);
}
END_TEST

/* Each bit of the part that the check word covers, and of the word: the record is not kept, its neighbour is. */
START_TEST(a_flipped_bit_costs_the_record)
{
    for (size_t bit = 0; bit < offsetof(struct arena_fault, action) * 8; bit += 7) {
        boot_first();
        log_one(FAULT_OUTCOME_RECOVERED);
        uint8_t *bytes = (uint8_t *)log_one(FAULT_OUTCOME_RECOVERED);
        bytes[bit / 8] ^= (uint8_t)(1u << bit % 8);
        reset();
        ck_assert_msg(kept() == 1 && fault_slot(1)->seq == 1, "bit %zu", bit);
        ck_assert_uint_eq(arena_header()->fault_seq, 2);
    }
}
END_TEST

/* With a check word that is right: whoever makes memory up can compute it. */
START_TEST(what_no_boot_would_write_is_not_kept)
{
    static const struct {
        size_t offset;
        uint32_t value;
    } wrong[] = {
        {offsetof(struct arena_fault, kind), 0},
        {offsetof(struct arena_fault, kind), FAULT_RESET + 1},
        {offsetof(struct arena_fault, boot), 0},
        {offsetof(struct arena_fault, boot), UINT32_MAX},
        {offsetof(struct arena_fault, cpu), ARENA_CPUS_MAX},
        {offsetof(struct arena_fault, action), FAULT_ACTION_MEND + 1},
        {offsetof(struct arena_fault, outcome), FAULT_OUTCOME_LOST + 1},
        {offsetof(struct arena_fault, message), 0x41410a41},
        {offsetof(struct arena_fault, step) + offsetof(struct arena_fault_step, kind), FAULT_STEPS},
        {offsetof(struct arena_fault, step) + offsetof(struct arena_fault_step, cell), 0x1b},
    };

    for (size_t i = 0; i < array_size(wrong); i++) {
        boot_first();
        struct arena_fault *fault = log_one(FAULT_OUTCOME_RECOVERED);
        memcpy((uint8_t *)fault + wrong[i].offset, &wrong[i].value, sizeof wrong[i].value);
        fault->check = arena_fault_check(fault, fault->seq);
        reset();
        ck_assert_msg(kept() == 0, "case %zu", i);
    }
    boot_first();
    struct arena_fault *fault = log_one(FAULT_OUTCOME_RECOVERED);
    memset(fault->symbol, 'a', sizeof fault->symbol); /* without an end */
    fault->check = arena_fault_check(fault, fault->seq);
    reset();
    ck_assert_uint_eq(kept(), 0);
}
END_TEST

START_TEST(any_bytes_at_all)
{
    srand(7);
    for (unsigned round = 0; round < 20; round++) {
        uint8_t *bytes = (uint8_t *)fault_at(0);
        for (size_t i = 0; i < sizeof(struct arena_fault) * ARENA_FAULTS_MAX; i++)
            bytes[i] = (uint8_t)rand();
        reset();
        ck_assert_uint_eq(kept(), 0);
        ck_assert_uint_eq(arena_header()->boot, 1);
    }
}
END_TEST

/* ---- steps ---- */

START_TEST(steps_are_counted_and_the_last_is_kept)
{
    boot_first();
    struct arena_fault *fault = log_one(FAULT_OUTCOME_OPEN);
    fault_step(fault, FAULT_STEP_MENDED, 2, NO_CELL);
    fault_step(fault, FAULT_STEP_MENDED, 3, NO_CELL);
    ck_assert_uint_eq(fault->steps, 1);
    ck_assert_uint_eq(fault->step[0].count, 5);
    for (unsigned i = 0; i < 20; i++)
        fault_step(fault, i % 2 ? FAULT_STEP_RELOAD : FAULT_STEP_UNWOUND, 1, NO_CELL);
    ck_assert_uint_eq(fault->steps, 21);
    ck_assert_uint_eq(fault->step[1].kind, FAULT_STEP_UNWOUND);
    ck_assert_uint_eq(fault->step[FAULT_STEPS_KEPT - 1].kind, FAULT_STEP_RELOAD);
    reset();
    ck_assert_uint_eq(kept(), 1);
}
END_TEST

Suite *suite_hosted_kept(void)
{
    Suite *suite = suite_create("hosted kept");
    TCase *tc = tcase_create("kept");

    tcase_add_checked_fixture(tc, setup, NULL);
    tcase_add_test(tc, memory_that_was_cleared_has_no_faults);
    tcase_add_test(tc, a_reset_without_a_reason_is_logged);
    tcase_add_test(tc, faults_are_kept_and_open_ones_closed);
    tcase_add_test(tc, the_oldest_give_way);
    tcase_add_test(tc, a_flipped_bit_costs_the_record);
    tcase_add_test(tc, what_no_boot_would_write_is_not_kept);
    tcase_add_test(tc, any_bytes_at_all);
    tcase_add_test(tc, steps_are_counted_and_the_last_is_kept);
    suite_add_tcase(suite, tc);
    return suite;
}
