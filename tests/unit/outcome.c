/* What a workload has delivered, and what is made of the evidence, on a made-up arena. */
#include <check.h>
#include <stdio.h>
#include "guest/abi/rounds.h"
#include "injector/deliveries.h"
#include "injector/outcome.h"
#include "tests/unit/arena_build.h"

static uint8_t *ram;

static void setup(void)
{
    ram = build_ram();
}

static void teardown(void)
{
    free(ram);
}

/* ---- what was delivered ---- */

/* Logs the delivery of a round, as the guest does. */
static void deliver(uint64_t number, uint64_t checksum, unsigned owner)
{
    uint64_t seq = ++build_header(ram)->event_seq;
    struct arena_event *e =
        build_record(ram, ARENA_EVENTS, arena_ring_index(seq, build_header(ram)->table[ARENA_EVENTS].capacity));

    *e = (struct arena_event){.seq = seq, .kind = EVENT_ROUND, .a = number, .b = checksum};
    snprintf(e->text, sizeof e->text, ROUNDS_TEXT, number, checksum, owner);
}

static void deliver_right(uint64_t number)
{
    deliver(number, rounds_right[number % ROUNDS_CYCLE], 7);
}

static struct deliveries judge_since(const struct deliveries *before)
{
    struct deliveries d = *before;

    deliveries_look(&d, ram, BUILD_RAM, true);
    return d;
}

static struct deliveries begin_after(uint64_t number)
{
    struct deliveries d;

    deliver_right(number);
    deliveries_begin(&d, ram, BUILD_RAM, WORKLOAD_DEFAULT);
    ck_assert(d.known);
    ck_assert_uint_eq(d.next, number + 1);
    ck_assert_uint_eq(d.rounds, 0);
    return d;
}

static const struct {
    const char *numbers; /* that are delivered after round 20; '!' behind one: with a wrong checksum */
    uint64_t rounds, wrong, lost, twice;
} deliveries[] = {
    {"21 22 23", 3, 0, 0, 0}, {"", 0, 0, 0, 0},    {"21 22! 23", 3, 1, 0, 0}, {"21 23", 2, 0, 1, 0},
    {"21 21 22", 2, 0, 0, 1}, {"0 1", 0, 0, 0, 2}, {"21! 21", 1, 1, 0, 1},    {"21 25 26! 20", 3, 1, 3, 1},
};

START_TEST(judges_what_was_delivered)
{
    const struct deliveries before = begin_after(20);

    for (const char *at = deliveries[_i].numbers; *at;) {
        char *end;
        uint64_t number = strtoull(at, &end, 10);

        if (*end == '!')
            deliver(number, rounds_right[number % ROUNDS_CYCLE] ^ 1, 7);
        else
            deliver_right(number);
        at = end + (*end == '!');
        at += *at == ' ';
    }
    build_header(ram)->counter[COUNTER_checksums_bad] = 5; /* what the guest says counts for nothing */
    const struct deliveries d = judge_since(&before);
    ck_assert_uint_eq(d.rounds, deliveries[_i].rounds);
    ck_assert_uint_eq(d.wrong, deliveries[_i].wrong);
    ck_assert_uint_eq(d.lost, deliveries[_i].lost);
    ck_assert_uint_eq(d.twice, deliveries[_i].twice);
    ck_assert_uint_eq(d.unseen, 0);
}
END_TEST

START_TEST(judges_some_parts)
{
    const uint32_t parts = 1u << PART_PAINTER | 1u << PART_READER;
    uint64_t value[PARTS];
    struct deliveries d;

    deliveries_begin(&d, ram, BUILD_RAM, parts);
    deliver(20, workload_round(4, parts, rounds_value[4]), 7);
    deliver_right(21); /* of the default parts */
    memcpy(value, rounds_value[6], sizeof value);
    value[PART_FILER] ^= 1; /* does not work */
    deliver(22, workload_round(6, parts, value), 7);
    value[PART_READER] ^= 1;
    deliver(23, workload_round(7, parts, value), 7);
    deliveries_look(&d, ram, BUILD_RAM, true);
    ck_assert_uint_eq(d.rounds, 4);
    ck_assert_uint_eq(d.wrong, 2);
    for (uint32_t i = 0; i < ROUNDS_CYCLE; i++)
        ck_assert_uint_eq(workload_round(i, WORKLOAD_DEFAULT, rounds_value[i]), rounds_right[i]);
}
END_TEST

START_TEST(follows_one_of_two_workloads)
{
    const struct deliveries before = begin_after(20);

    deliver(3, rounds_right[3], 9);
    deliver_right(21);
    deliver(4, rounds_right[5], 9); /* wrong is wrong, whoever delivers it */
    const struct deliveries d = judge_since(&before);
    ck_assert_uint_eq(d.rounds, 1);
    ck_assert_uint_eq(d.lost + d.twice, 0);
    ck_assert_uint_eq(d.wrong, 1);
}
END_TEST

START_TEST(waits_for_an_event_that_is_being_written)
{
    struct deliveries d = begin_after(20);
    struct arena_event *e;

    deliver_right(21);
    e = build_record(ram, ARENA_EVENTS, arena_ring_index(build_header(ram)->event_seq, 9));
    e->seq = 0;
    deliver_right(22);
    deliveries_look(&d, ram, BUILD_RAM, false);
    ck_assert_uint_eq(d.rounds, 0);
    e->seq = build_header(ram)->event_seq - 1;
    deliveries_look(&d, ram, BUILD_RAM, false);
    ck_assert_uint_eq(d.rounds, 2);
    ck_assert_uint_eq(d.lost, 0);
}
END_TEST

/* Whoever wrote it has failed: it was not delivered. */
START_TEST(gives_up_an_event_that_was_never_written)
{
    const struct deliveries before = begin_after(20);

    ++build_header(ram)->event_seq;
    deliver_right(21);
    const struct deliveries d = judge_since(&before);
    ck_assert_uint_eq(d.rounds, 1);
    ck_assert_uint_eq(d.lost, 0);
}
END_TEST

/* Eight events fit. What may have been among those before is no loss. */
START_TEST(says_what_it_has_not_seen)
{
    const struct deliveries before = begin_after(20);

    for (uint64_t number = 21; number < 34; number++)
        deliver_right(number);
    const struct deliveries d = judge_since(&before);
    ck_assert_uint_eq(d.unseen, 5);
    ck_assert_uint_eq(d.rounds, 13);
    ck_assert_uint_eq(d.lost + d.twice + d.wrong, 0);
}
END_TEST

START_TEST(reads_no_event_beyond_memory)
{
    struct arena_table_desc *table = &build_header(ram)->table[ARENA_EVENTS];
    const struct arena_table_desc good = *table;
    struct deliveries d;

    deliver_right(20);
    for (int i = 0; i < 4; i++) {
        *table = good;
        if (i == 0)
            table->offset = UINT32_MAX - 63;
        else if (i == 1)
            table->capacity = UINT32_MAX;
        else if (i == 2)
            table->record_bytes = 1;
        else
            table->capacity = 1;
        deliveries_begin(&d, ram, BUILD_RAM, WORKLOAD_DEFAULT);
        ck_assert(!d.known);
    }
    *table = good;
    build_header(ram)->event_seq = UINT64_MAX;
    deliveries_begin(&d, ram, BUILD_RAM, WORKLOAD_DEFAULT);
    deliveries_look(&d, ram, BUILD_RAM, true);
    ck_assert_uint_eq(d.rounds, 0);
    deliveries_begin(&d, ram, 4096, WORKLOAD_DEFAULT);
    ck_assert(!d.known);
}
END_TEST

/* ---- outcomes ---- */

/* Ends that are known. */
static const struct {
    struct evidence evidence;
    enum outcome strict, thesis;
} outcomes[] = {
    {{.rounds = 3, .wanted = 3}, OUTCOME_BENIGN, OUTCOME_BENIGN},
    {{.rounds = 3, .wanted = 3, .faults = 2}, OUTCOME_RESTART, OUTCOME_RESTART},
    {{.rounds = 3, .wanted = 3, .faults = 2, .reloads = 1}, OUTCOME_RELOAD, OUTCOME_RELOAD},
    {{.rounds = 3, .wanted = 3, .faults = 2, .unrecovered = 1}, OUTCOME_FAILED, OUTCOME_FAILED},
    {{.rounds = 3, .wanted = 3, .unanswered = true}, OUTCOME_FAILED, OUTCOME_FAILED},
    {{.rounds = 1, .wanted = 3, .faults = 1}, OUTCOME_FAILED, OUTCOME_FAILED},
    {{.rounds = 1, .wanted = 3, .faults = 1, .reloads = 1}, OUTCOME_FAILED, OUTCOME_FAILED},
    {{.rounds = 1, .wanted = 3}, OUTCOME_HANG, OUTCOME_HANG},
    {{.rounds = 3, .wanted = 3, .wrong = 1}, OUTCOME_WRONG, OUTCOME_BENIGN},
    {{.rounds = 3, .wanted = 3, .lost = 1}, OUTCOME_WRONG, OUTCOME_BENIGN},
    {{.rounds = 3, .wanted = 3, .twice = 1, .faults = 1}, OUTCOME_WRONG, OUTCOME_RESTART},
    {{.rounds = 3, .wanted = 3, .wrong = 1, .faults = 1, .reloads = 1}, OUTCOME_WRONG, OUTCOME_RELOAD},
    {{.rounds = 1, .wanted = 3, .wrong = 1, .faults = 1}, OUTCOME_WRONG, OUTCOME_FAILED},
    {{.rounds = 3, .wanted = 3, .bad = 1, .faults = 1}, OUTCOME_RESTART, OUTCOME_RESTART}, /* the guest's word */
    {{.rounds = 0, .wanted = 3, .crashed = true}, OUTCOME_CRASH, OUTCOME_CRASH},
    {{.rounds = 3, .wanted = 3, .wrong = 1, .halted = true}, OUTCOME_CRASH, OUTCOME_CRASH},
};

START_TEST(classifies)
{
    enum outcome again;

    ck_assert_int_eq(outcome_classify(&outcomes[_i].evidence, OUTCOME_STRICT), outcomes[_i].strict);
    ck_assert_int_eq(outcome_classify(&outcomes[_i].evidence, OUTCOME_THESIS), outcomes[_i].thesis);
    ck_assert(outcome_parse(outcome_word(outcomes[_i].strict), &again));
    ck_assert_int_eq(again, outcomes[_i].strict);
    ck_assert(!outcome_parse("fine", &again));
}
END_TEST

static const struct {
    struct evidence evidence;
    enum cause strict, thesis;
} causes[] = {
    {{.rounds = 3, .wanted = 3}, CAUSE_NONE, CAUSE_NONE},
    {{.rounds = 3, .wanted = 3, .faults = 2, .in_recovery = 1, .reloads = 1}, CAUSE_NONE, CAUSE_NONE},
    {{.rounds = 3, .wanted = 3, .wrong = 1}, CAUSE_RESULT, CAUSE_NONE},
    {{.rounds = 1, .wanted = 3}, CAUSE_HUNG, CAUSE_HUNG},
    {{.rounds = 1, .wanted = 3, .faults = 1}, CAUSE_UNWINDING, CAUSE_UNWINDING},
    {{.rounds = 3, .wanted = 3, .faults = 2, .unrecovered = 1}, CAUSE_UNWINDER, CAUSE_UNWINDER},
    {{.rounds = 1, .wanted = 3, .faults = 1, .in_recovery = 1}, CAUSE_UNWINDER, CAUSE_UNWINDER},
    {{.rounds = 1, .wanted = 3, .faults = 2, .unrecovered = 2, .replacing = 1}, CAUSE_REPLACEMENT, CAUSE_REPLACEMENT},
    {{.rounds = 1, .wanted = 3, .faults = 2, .unrecovered = 2, .hanging = 1, .replacing = 1}, CAUSE_HUNG, CAUSE_HUNG},
    {{.rounds = 1, .wanted = 3, .wrong = 1, .faults = 1}, CAUSE_RESULT, CAUSE_UNWINDING},
    {{.crashed = true, .wanted = 3}, CAUSE_MACHINE, CAUSE_MACHINE},
};

START_TEST(says_why_a_fault_was_lost)
{
    ck_assert_int_eq(outcome_cause(&causes[_i].evidence, OUTCOME_STRICT), causes[_i].strict);
    ck_assert_int_eq(outcome_cause(&causes[_i].evidence, OUTCOME_THESIS), causes[_i].thesis);
}
END_TEST

Suite *suite_outcome(void);
Suite *suite_outcome(void)
{
    Suite *s = suite_create("outcome");
    TCase *tc = tcase_create("outcome");

    tcase_add_checked_fixture(tc, setup, teardown);
    tcase_add_loop_test(tc, judges_what_was_delivered, 0, sizeof deliveries / sizeof *deliveries);
    tcase_add_test(tc, judges_some_parts);
    tcase_add_test(tc, follows_one_of_two_workloads);
    tcase_add_test(tc, waits_for_an_event_that_is_being_written);
    tcase_add_test(tc, gives_up_an_event_that_was_never_written);
    tcase_add_test(tc, says_what_it_has_not_seen);
    tcase_add_test(tc, reads_no_event_beyond_memory);
    tcase_add_loop_test(tc, says_why_a_fault_was_lost, 0, sizeof causes / sizeof *causes);
    tcase_add_loop_test(tc, classifies, 0, sizeof outcomes / sizeof *outcomes);
    suite_add_tcase(s, tc);
    return s;
}
