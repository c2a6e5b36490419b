/* The heap cell: what is asked for is given, zeroed and apart, memory goes back, and misuse is noticed. */
#include "cells/kernel/arena/arena.h"
#include "cells/kernel/heap/heap.h"
#include "tests/hosted/stand_in.h"
#include <check.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>

Suite *suite_hosted_heap(void);

#define BLOCKS 300

static bool is_filled(const uint8_t *at, size_t bytes, uint8_t with)
{
    for (size_t i = 0; i < bytes; i++)
        if (at[i] != with)
            return false;
    return true;
}

START_TEST(every_size_is_zeroed_and_aligned)
{
    for (size_t bytes = 0; bytes < 5000; bytes += 7) {
        uint8_t *block = heap_alloc(bytes);
        ck_assert_ptr_nonnull(block);
        ck_assert_uint_eq((uintptr_t)block % 16, 0);
        ck_assert(is_filled(block, bytes, 0));
        memset(block, 0xff, bytes);
        heap_free(block);
    }
}
END_TEST

START_TEST(blocks_keep_what_was_written)
{
    static uint8_t *block[BLOCKS];
    static size_t bytes[BLOCKS];

    srand(7);
    for (int step = 0; step < 5000; step++) {
        int i = rand() % BLOCKS;
        ck_assert(!block[i] || is_filled(block[i], bytes[i], (uint8_t)i));
        heap_free(block[i]);
        bytes[i] = (size_t)rand() % (rand() % 20 ? 700 : 20000);
        block[i] = heap_alloc(bytes[i]);
        ck_assert_ptr_nonnull(block[i]);
        memset(block[i], i, bytes[i]);
    }
    for (int i = 0; i < BLOCKS; i++)
        heap_free(block[i]);
    heap_trim();
    ck_assert_uint_eq(stand_in.frames_used, 0);
    ck_assert_uint_eq(arena_header()->counter[COUNTER_heap_blocks], 0);
    ck_assert_uint_eq(arena_header()->counter[COUNTER_heap_bytes], 0);
}
END_TEST

START_TEST(out_of_memory_is_told)
{
    static void *block[100000];
    size_t count = 0;

    ck_assert_ptr_null(heap_alloc(SIZE_MAX));
    ck_assert_ptr_null(heap_alloc(SIZE_MAX / 2));
    ck_assert_ptr_null(heap_alloc(1ul << 30));
    while ((block[count] = heap_alloc(3000)))
        ck_assert_uint_lt(++count, 100000);
    ck_assert_uint_gt(count, 1000);
    while (count)
        heap_free(block[--count]);
    heap_trim();
    ck_assert_uint_eq(stand_in.frames_used, 0);
}
END_TEST

START_TEST(one_empty_chunk_per_size_stays)
{
    void *first = heap_alloc(100);
    size_t frames = stand_in.frames_used;

    heap_free(first);
    for (int i = 0; i < 100; i++) {
        heap_free(heap_alloc(100));
        ck_assert_uint_eq(stand_in.frames_used, frames);
    }
    heap_trim();
    ck_assert_uint_eq(stand_in.frames_used, 0);
}
END_TEST

/* Volatile, so that gcc does not see what is done here on purpose. */
static void *volatile bad;

START_TEST(freed_twice)
{
    bad = heap_alloc(24);
    void *other = heap_alloc(24);
    heap_free(bad);
    heap_free(bad);
    heap_free(other);
}
END_TEST

START_TEST(freed_inside)
{
    char *block = heap_alloc(400);
    memset(block, 0x11, 400);
    bad = block + 32;
    heap_free(bad);
}
END_TEST

START_TEST(freed_misaligned)
{
    bad = (char *)heap_alloc(400) + 8;
    heap_free(bad);
}
END_TEST

START_TEST(written_past_the_end)
{
    char *block[2] = {heap_alloc(16), heap_alloc(16)};

    /* Into the header of a neighbour, whichever comes first. */
    int low = block[0] < block[1] ? 0 : 1;
    memset(block[low], 0x22, 40);
    heap_free(block[!low]);
}
END_TEST

START_TEST(written_after_free)
{
    bad = heap_alloc(40);
    void *keeps_the_chunk = heap_alloc(40);
    heap_free(bad);
    memset((char *)bad - 16, 0x33, 32);
    bad = heap_alloc(40);
    heap_free(keeps_the_chunk);
}
END_TEST

Suite *suite_hosted_heap(void)
{
    Suite *s = suite_create("hosted heap");
    TCase *tc = tcase_create("heap");

    tcase_add_checked_fixture(tc, stand_in_start, NULL);
    tcase_add_test(tc, every_size_is_zeroed_and_aligned);
    tcase_add_test(tc, blocks_keep_what_was_written);
    tcase_add_test(tc, out_of_memory_is_told);
    tcase_add_test(tc, one_empty_chunk_per_size_stays);
    tcase_add_test_raise_signal(tc, freed_twice, SIGABRT);
    tcase_add_test_raise_signal(tc, freed_inside, SIGABRT);
    tcase_add_test_raise_signal(tc, freed_misaligned, SIGABRT);
    tcase_add_test_raise_signal(tc, written_past_the_end, SIGABRT);
    tcase_add_test_raise_signal(tc, written_after_free, SIGABRT);
    suite_add_tcase(s, tc);
    return s;
}
