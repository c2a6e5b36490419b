/* A round of the workload is delivered once, wherever a fault has interrupted its delivery; one that was delivered
 * wrong is counted as such. */
#include "cells/app/workload/delivery.h"
#include "cells/core/arena/arena.h"
#include "cells/lib/format/format.h"
#include "guest/abi/rounds.h"
#include "tests/hosted/stand_in.h"
#include <check.h>

Suite *suite_hosted_delivery(void);

enum { NUMBER = 21, OWNER = 5 };

static void setup(void)
{
    stand_in_start();
    ck_assert_msg(stand_in_boot("build/delias.elf", "build/cells.archive"), "%s", stand_in.printed);
}

static struct delivery begun(uint64_t checksum)
{
    struct delivery d = {.number = NUMBER, .checksum = checksum, .parts = WORKLOAD_DEFAULT, .owner = OWNER};

    delivery_begin(&d);
    ck_assert_int_eq(d.step, DELIVERY_PUBLISH);
    return d;
}

static unsigned times_delivered(void)
{
    unsigned times = 0;

    for (uint64_t seq = 1; seq <= arena_header()->event_seq; seq++) {
        const struct arena_event *e = arena_record(ARENA_EVENTS, arena_ring_index(seq, ARENA_EVENTS_MAX));
        times += e->seq == seq && e->kind == EVENT_ROUND && e->a == NUMBER;
    }
    return times;
}

static void expect(const struct delivery *d, bool right)
{
    const uint64_t *counter = arena_header()->counter;

    ck_assert_int_eq(d->step, DELIVERY_DONE);
    ck_assert_int_eq(d->right, right);
    ck_assert_uint_eq(times_delivered(), 1);
    ck_assert_uint_eq(counter[COUNTER_rounds], 1);
    ck_assert_uint_eq(counter[COUNTER_checksums_ok], right);
    ck_assert_uint_eq(counter[COUNTER_checksums_bad], !right);
}

START_TEST(delivers_once)
{
    struct delivery d = begun(rounds_right[NUMBER % ROUNDS_CYCLE]);

    delivery_finish(&d);
    expect(&d, true);
    delivery_finish(&d);
    expect(&d, true);
}
END_TEST

static void publish(uint64_t number, unsigned owner)
{
    uint64_t right = rounds_right[number % ROUNDS_CYCLE];
    char text[64];

    format_print(text, sizeof text, ROUNDS_TEXT, number, right, owner);
    arena_event(EVENT_ROUND, number, right, text);
}

/* The fault came when the round had been published, but before that was noted. */
START_TEST(what_was_published_is_not_published_again)
{
    struct delivery d = begun(rounds_right[NUMBER % ROUNDS_CYCLE]);

    publish(NUMBER, OWNER);
    arena_event(EVENT_LOG, 0, 0, "a fault");
    delivery_finish(&d);
    expect(&d, true);
}
END_TEST

/* Events of an earlier time, of another round, of another workload, and one that a fault has left unwritten. */
START_TEST(what_others_published_does_not_count)
{
    publish(NUMBER + ROUNDS_CYCLE, OWNER);
    struct delivery d = begun(rounds_right[NUMBER % ROUNDS_CYCLE]);

    publish(NUMBER - 1, OWNER);
    arena_event(EVENT_ROUND, NUMBER + ROUNDS_CYCLE, rounds_right[NUMBER % ROUNDS_CYCLE], "round 37 of another");
    arena_header()->event_seq++;
    delivery_finish(&d);
    expect(&d, true);
}
END_TEST

START_TEST(a_fault_after_each_step)
{
    struct delivery d = begun(rounds_right[NUMBER % ROUNDS_CYCLE]);
    struct delivery after;

    delivery_finish(&d);
    for (enum delivery_step step = DELIVERY_COUNT; step <= DELIVERY_DONE; step++) {
        after = d;
        after.step = step;
        if (step <= DELIVERY_COUNT)
            arena_count(COUNTER_rounds, -1);
        if (step <= DELIVERY_JUDGE)
            arena_count(COUNTER_checksums_ok, -1);
        delivery_finish(&after);
        expect(&after, true);
    }
}
END_TEST

START_TEST(what_was_delivered_wrong_is_bad)
{
    struct delivery d = begun(rounds_right[NUMBER % ROUNDS_CYCLE] ^ 4);

    delivery_finish(&d);
    expect(&d, false);
}
END_TEST

START_TEST(nothing_begun_nothing_delivered)
{
    struct delivery d = {};

    delivery_finish(&d);
    ck_assert_int_eq(d.step, DELIVERY_NONE);
    ck_assert_uint_eq(arena_header()->counter[COUNTER_rounds], 0);
}
END_TEST

Suite *suite_hosted_delivery(void)
{
    Suite *s = suite_create("hosted delivery");
    TCase *tc = tcase_create("delivery");

    tcase_add_checked_fixture(tc, setup, NULL);
    tcase_add_test(tc, delivers_once);
    tcase_add_test(tc, what_was_published_is_not_published_again);
    tcase_add_test(tc, what_others_published_does_not_count);
    tcase_add_test(tc, a_fault_after_each_step);
    tcase_add_test(tc, what_was_delivered_wrong_is_bad);
    tcase_add_test(tc, nothing_begun_nothing_delivered);
    suite_add_tcase(s, tc);
    return s;
}
