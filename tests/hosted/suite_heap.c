/* The heap cell: blocks are as large as asked for, zeroed and apart; memory is given back; misuse is noticed. */
#include "cells/core/arena/arena.h"
#include "cells/memory/heap/heap.h"
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

/* Whatever was in use at the most, and in whatever order it is let go. */
START_TEST(empty_chunks_go_back)
{
    static void *block[2000];
    size_t one_chunk;

    heap_free(heap_alloc(100));
    one_chunk = stand_in.frames_used;
    for (size_t step = 1; step <= 7; step += 2) { /* no divisor of the number of blocks but 1 */
        size_t blocks = step == 5 ? 1999 : 2000;
        for (size_t i = 0; i < blocks; i++)
            ck_assert_ptr_nonnull(block[i] = heap_alloc(100));
        ck_assert_uint_gt(stand_in.frames_used, 10 * one_chunk);
        for (size_t i = 0; i < blocks; i++)
            heap_free(block[i * step % blocks]);
        ck_assert_uint_eq(stand_in.frames_used, one_chunk);
    }
    heap_trim();
    ck_assert_uint_eq(stand_in.frames_used, 0);
}
END_TEST

/* Of each size. */
START_TEST(trimming_leaves_nothing_empty)
{
    void *kept = heap_alloc(200);
    size_t frames = stand_in.frames_used;

    for (size_t bytes = 1; bytes < 20000; bytes += bytes / 4 + 1)
        heap_free(heap_alloc(bytes));
    ck_assert_uint_gt(stand_in.frames_used, frames);
    heap_trim();
    ck_assert_uint_eq(stand_in.frames_used, frames);
    heap_free(kept);
    heap_trim();
    ck_assert_uint_eq(stand_in.frames_used, 0);
}
END_TEST

START_TEST(large_blocks_go_back_at_once)
{
    void *block = heap_alloc(50000);

    ck_assert_uint_ge(stand_in.frames_used, 50000 / 4096 + 1);
    ck_assert_uint_eq(arena_header()->counter[COUNTER_heap_bytes], 50000);
    heap_free(block);
    ck_assert_uint_eq(stand_in.frames_used, 0);
    ck_assert_uint_eq(arena_header()->counter[COUNTER_heap_blocks], 0);
    ck_assert_uint_eq(arena_header()->counter[COUNTER_heap_bytes], 0);
}
END_TEST

START_TEST(blocks_are_told_from_what_is_none)
{
    char *small = heap_alloc(100), *large = heap_alloc(50000);
    size_t bytes = 1;

    ck_assert(heap_is_block(small, &bytes) && bytes == 100);
    ck_assert(heap_is_block(large, &bytes) && bytes == 50000);
    ck_assert(!heap_is_block(small + 16, &bytes) && !heap_is_block(small + 8, &bytes));
    ck_assert(!heap_is_block(large + 4096, &bytes) && !heap_is_block(NULL, &bytes));
    heap_free(small);
    ck_assert(heap_is_block(small, &bytes) && bytes == 0); /* a free one */
    heap_free(large);
}
END_TEST

/* ---- after a fault ---- */

#define HEADER_BYTES 16
#define CHUNK_WORDS  6
#define GARBAGE      0x3a8a64d63823da39ull

static uint64_t *seal_of(void *block)
{
    return (uint64_t *)((uint8_t *)block - HEADER_BYTES);
}

/* The chunk of a small block: its header says how far away that begins. */
static uint64_t *chunk_of(void *block)
{
    return (uint64_t *)((uint8_t *)seal_of(block) - (uint16_t)seal_of(block)[1]);
}

static void free_all(void *const *block, size_t count)
{
    for (size_t i = 0; i < count; i++)
        heap_free(block[i]);
    heap_trim();
    ck_assert_uint_eq(stand_in.frames_used, 0);
    ck_assert_uint_eq(arena_header()->counter[COUNTER_heap_blocks], 0);
    ck_assert_uint_eq(arena_header()->counter[COUNTER_heap_bytes], 0);
}

/* Full chunks, half full ones, empty ones, large blocks. */
START_TEST(rebuilding_loses_nothing)
{
    static void *block[BLOCKS];

    for (size_t i = 0; i < BLOCKS; i++) {
        block[i] = heap_alloc(i * 37 % 5000);
        memset(block[i], (int)i, i * 37 % 5000);
    }
    for (size_t i = 0; i < BLOCKS; i += 3) {
        heap_free(block[i]);
        block[i] = NULL;
    }
    heap_rebuild();
    for (size_t i = 0; i < BLOCKS; i += 3) {
        block[i] = heap_alloc(i * 37 % 5000);
        ck_assert(is_filled(block[i], i * 37 % 5000, 0));
        memset(block[i], (int)i, i * 37 % 5000);
    }
    heap_rebuild();
    for (size_t i = 0; i < BLOCKS; i++)
        ck_assert(is_filled(block[i], i * 37 % 5000, (uint8_t)i));
    free_all(block, BLOCKS);
}
END_TEST

START_TEST(a_damaged_chunk_is_rebuilt)
{
    void *block[4] = {heap_alloc(100), heap_alloc(100), heap_alloc(100), NULL};
    uint64_t *chunk = chunk_of(block[0]);

    ck_assert_ptr_eq(chunk, chunk_of(block[2]));
    heap_free(MOVE(block[1]));
    chunk[_i] = GARBAGE;
    heap_rebuild();
    block[1] = heap_alloc(100);
    block[3] = heap_alloc(100);
    ck_assert_ptr_eq(chunk, chunk_of(block[1]));
    free_all(block, 4);
}
END_TEST

/* A used block can be freed, whatever was written over its seal. */
START_TEST(a_damaged_used_block_is_rebuilt)
{
    void *block[2] = {heap_alloc(100), heap_alloc(100)};

    *seal_of(block[0]) = _i ? *seal_of(block[0]) ^ 1ull << (_i * 7 - 1) : GARBAGE;
    heap_rebuild();
    void *other = heap_alloc(100);
    ck_assert(other != block[0] && other != block[1]);
    heap_free(other);
    free_all(block, 2);
}
END_TEST

START_TEST(a_flipped_bit_leaves_a_free_block_free)
{
    void *block[2] = {heap_alloc(100), heap_alloc(100)};
    void *last = block[0];

    heap_free(MOVE(block[0]));
    *seal_of(last) ^= 1ull << _i * 9;
    heap_rebuild();
    for (size_t frames = stand_in.frames_used, i = 0; i < 1000 && !block[0]; i++) {
        static void *others[1000];
        others[i] = heap_alloc(100);
        ck_assert_uint_eq(stand_in.frames_used, frames); /* it comes before a new chunk */
        if (others[i] != last)
            continue;
        block[0] = last;
        while (i)
            heap_free(others[--i]);
    }
    free_all(block, 2);
}
END_TEST

/* Nobody knows whether somebody has it. */
START_TEST(a_free_block_that_was_written_over_is_not_given_out)
{
    void *block[2] = {heap_alloc(100), heap_alloc(100)};
    void *bad = block[0];

    heap_free(MOVE(block[0]));
    *seal_of(bad) = GARBAGE;
    heap_rebuild();
    for (int i = 0; i < 300; i++)
        ck_assert_ptr_ne(heap_alloc(100), bad);
}
END_TEST

START_TEST(a_large_block_knows_its_pages_again)
{
    void *block = heap_alloc(50000);

    seal_of(block)[-2] = GARBAGE;
    heap_rebuild();
    free_all(&block, 1);
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

START_TEST(taken_from_a_damaged_chunk)
{
    chunk_of(heap_alloc(100))[4] ^= 1ull << 40; /* the size of its blocks, say */
    bad = heap_alloc(100);
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
    tcase_add_test(tc, empty_chunks_go_back);
    tcase_add_test(tc, trimming_leaves_nothing_empty);
    tcase_add_test(tc, large_blocks_go_back_at_once);
    tcase_add_test(tc, blocks_are_told_from_what_is_none);
    tcase_add_test(tc, rebuilding_loses_nothing);
    tcase_add_loop_test(tc, a_damaged_chunk_is_rebuilt, 0, CHUNK_WORDS);
    tcase_add_loop_test(tc, a_damaged_used_block_is_rebuilt, 0, 10);
    tcase_add_loop_test(tc, a_flipped_bit_leaves_a_free_block_free, 0, 8);
    tcase_add_test(tc, a_free_block_that_was_written_over_is_not_given_out);
    tcase_add_test(tc, a_large_block_knows_its_pages_again);
    tcase_add_test_raise_signal(tc, taken_from_a_damaged_chunk, SIGABRT);
    tcase_add_test_raise_signal(tc, freed_twice, SIGABRT);
    tcase_add_test_raise_signal(tc, freed_inside, SIGABRT);
    tcase_add_test_raise_signal(tc, freed_misaligned, SIGABRT);
    tcase_add_test_raise_signal(tc, written_past_the_end, SIGABRT);
    tcase_add_test_raise_signal(tc, written_after_free, SIGABRT);
    suite_add_tcase(s, tc);
    return s;
}
