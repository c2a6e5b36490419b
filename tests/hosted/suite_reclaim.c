/* What is bound for when memory is short: called in order, as long as memory is short, and only by who may wait. */
#include "cells/cell.h"
#undef RELEASED_BY
#define RELEASED_BY(release) /* what a test takes it does not give back: its process ends */
#include "cells/core/cpu/cpu.h"
#include "cells/core/frame/frame.h"
#include "tests/hosted/stand_in.h"
/* clang-format off: a copy of the cell, which binds without edges, since this is no cell; the heap has another one */
#define edge_bind         bind_edge
#define reclaim_map       map_or_reclaim
#define reclaim_caches    reclaim_all
#define reclaim_bind      bind_giver
#define reclaim_bind_last bind_last
#include "cells/memory/reclaim/reclaim.c"
/* clang-format on */
#include <check.h>

Suite *suite_hosted_reclaim(void);

#define KEPT      40   /* mappings of the cache */
#define PER_CALL  5    /* of these, given back at a time */
#define APART     2400 /* mappings side by side of which every second one is freed: more frames than are the system's */
#define ENOUGH(n) ((n) + frame_total_count() / RECLAIM_SYSTEM_PART)

static struct mapped_pages *kept[KEPT];
static size_t left, calls, late_calls, last_calls, last_frames, failures;

static void give(void)
{
    calls++;
    for (int i = 0; i < PER_CALL && left; i++)
        mapped_pages_put(MOVE(kept[--left]));
}

static void give_late(void)
{
    late_calls++;
}

static bool make_room(size_t frames, size_t tried)
{
    last_calls++;
    last_frames = frames;
    ck_assert(tried == RECLAIM_NOT_TRIED || tried == frame_free_count());
    if (tried == RECLAIM_NOT_TRIED || failures == 3)
        return false;
    failures++;
    mapped_pages_put(MOVE(kept[--left]));
    return true;
}

enum err bind_edge(void *slot, const void *function)
{
    *(const void **)slot = function;
    return ERR_OK;
}

static void start(void)
{
    stand_in_start();
    cpu_this()->task = (struct task *)&stand_in;
    ck_assert_int_eq(reclaim_bind(give), ERR_OK);
    ck_assert_int_eq(reclaim_bind(give_late), ERR_OK);
    ck_assert_int_eq(reclaim_bind(give), ERR_OK); /* as after a reload: it has its place already */
    ck_assert_int_eq(reclaim_bind_last(make_room), ERR_OK);
    for (left = 0; left < KEPT; left++)
        ck_assert_ptr_nonnull(kept[left] = page_map(FRAME_BYTES, PAGE_WRITE));
    calls = late_calls = last_calls = failures = 0;
}

static void end(void)
{
    cpu_this()->task = NULL;
}

static void leave(size_t frames)
{
    while (frame_free_count() > frames)
        ck_assert_ptr_nonnull(page_map(FRAME_BYTES, PAGE_WRITE));
}

START_TEST(nothing_is_given_while_there_is_enough)
{
    leave(ENOUGH(3));
    ck_assert_ptr_nonnull(reclaim_map(3 * FRAME_BYTES, PAGE_WRITE));
    ck_assert_uint_eq(calls + late_calls + last_calls, 0);
    ck_assert_ptr_nonnull(reclaim_map(1, PAGE_WRITE));
    ck_assert_uint_eq(calls, 1);
    ck_assert_uint_eq(late_calls + last_calls, 0); /* the first has given enough */
}
END_TEST

START_TEST(all_are_asked_before_somebody_ends)
{
    leave(ENOUGH(0));
    ck_assert_ptr_nonnull(reclaim_map(7 * FRAME_BYTES, PAGE_WRITE)); /* of the system's part, since nobody ends */
    ck_assert_uint_eq(calls, 1);
    ck_assert_uint_eq(late_calls, 1);
    ck_assert_uint_eq(last_calls, 1);
    ck_assert_uint_eq(last_frames, 7);
}
END_TEST

START_TEST(who_may_not_wait_gets_what_there_is)
{
    leave(ENOUGH(0));
    cpu_this()->preempt_off = 1;
    ck_assert_ptr_nonnull(reclaim_map(1, PAGE_WRITE));
    cpu_this()->preempt_off = 0;
    cpu_this()->task = NULL;
    ck_assert_ptr_nonnull(reclaim_map(1, PAGE_WRITE));
    cpu_this()->task = (struct task *)&stand_in;
    __atomic_store_n(&arena_reserve_user, cpu_task(), __ATOMIC_RELAXED);
    ck_assert_ptr_nonnull(reclaim_map(1, PAGE_WRITE));
    __atomic_store_n(&arena_reserve_user, NULL, __ATOMIC_RELAXED);
    ck_assert_uint_eq(calls + late_calls + last_calls, 0);
}
END_TEST

/* So many frames are free, but no two of them side by side. */
START_TEST(frames_in_one_piece_are_made)
{
    struct mapped_pages *apart[APART];
    size_t count = 0;

    for (; count < APART; count++)
        ck_assert_ptr_nonnull(apart[count] = page_map(FRAME_BYTES, PAGE_WRITE));
    leave(0);
    for (size_t i = 0; i < count; i += 2)
        mapped_pages_put(apart[i]);
    ck_assert_uint_ge(frame_free_count(), ENOUGH(3));
    ck_assert_ptr_null(page_map(2 * FRAME_BYTES, PAGE_WRITE));
    ck_assert_ptr_nonnull(reclaim_map(2 * FRAME_BYTES, PAGE_WRITE));
    ck_assert_uint_eq(failures, 1);
    ck_assert_ptr_null(reclaim_map(3 * FRAME_BYTES, PAGE_WRITE)); /* after two more, it can do no more */
    ck_assert_uint_eq(failures, 3);
}
END_TEST

START_TEST(there_is_room_for_eight)
{
    ck_assert_int_eq(reclaim_bind((void (*)(void))1), ERR_OK);
    for (uintptr_t i = 2; i < 7; i++)
        ck_assert_int_eq(reclaim_bind((void (*)(void))i), ERR_OK);
    ck_assert_int_eq(reclaim_bind((void (*)(void))7), ERR_FULL);
}
END_TEST

Suite *suite_hosted_reclaim(void)
{
    Suite *suite = suite_create("hosted reclaim");
    TCase *tc = tcase_create("reclaim");

    tcase_add_checked_fixture(tc, start, end);
    tcase_add_test(tc, nothing_is_given_while_there_is_enough);
    tcase_add_test(tc, all_are_asked_before_somebody_ends);
    tcase_add_test(tc, who_may_not_wait_gets_what_there_is);
    tcase_add_test(tc, frames_in_one_piece_are_made);
    tcase_add_test(tc, there_is_room_for_eight);
    suite_add_tcase(suite, tc);
    return suite;
}
