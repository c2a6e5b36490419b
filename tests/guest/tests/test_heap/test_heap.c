/* The heap: blocks do not overlap, are aligned and zeroed, from several tasks at once; what is freed twice or was never
 * a block is noticed. */
#include "cells/core/arena/arena.h"
#include "cells/memory/heap/heap.h"
#include "cells/task/task/task.h"
#include "tests/guest/fixtures/testing/testing.h"

CELL("test_heap", KERNEL, 1);

#define BLOCKS 64
#define ROUNDS 8
#define TASKS  6

struct block {
    uint8_t *at;
    size_t bytes;
};

static uint32_t next_random(uint32_t *state)
{
    *state = *state * 1664525 + 1013904223;
    return *state >> 8;
}

static bool is_filled(const struct block *block, uint8_t with)
{
    for (size_t i = 0; i < block->bytes; i++)
        if (block->at[i] != with)
            return false;
    return true;
}

/* Each block is filled with its own number, and is still so when it is freed. */
static bool churn(uint32_t seed)
{
    struct block blocks[BLOCKS] = {0};

    for (int i = 0; i < BLOCKS * ROUNDS; i++) {
        size_t slot = next_random(&seed) % BLOCKS;
        struct block *block = &blocks[slot];
        if (block->at && !is_filled(block, (uint8_t)slot + 1))
            return false;
        heap_free(block->at);
        block->bytes = next_random(&seed) % (next_random(&seed) % 16 ? 600 : 9000);
        block->at = heap_alloc(block->bytes);
        if (!block->at || (uint64_t)block->at % 16 || !is_filled(block, 0))
            return false;
        for (size_t at = 0; at < block->bytes; at++)
            block->at[at] = (uint8_t)slot + 1;
    }
    for (size_t slot = 0; slot < BLOCKS; slot++)
        heap_free(blocks[slot].at);
    return true;
}

static void churn_entry(uint64_t seed)
{
    task_exit(churn((uint32_t)seed));
}

static void churn_together(const struct testing *test)
{
    struct task *tasks[TASKS];

    for (uint64_t i = 0; i < TASKS; i++) {
        tasks[i] = task_spawn("churn", churn_entry, i + 1, NULL);
        testing_need(test, tasks[i]);
    }
    for (size_t i = 0; i < TASKS; i++) {
        int32_t code = 0;
        testing_need(test, task_join(MOVE(tasks[i]), &code) == JOIN_ENDED && code == 1);
    }
}

static void count_blocks(const struct testing *test)
{
    const uint64_t *counter = arena_header()->counter;
    uint64_t bytes = counter[COUNTER_heap_bytes], blocks = counter[COUNTER_heap_blocks];
    void *small = heap_alloc(100), *large = heap_alloc(100000);

    testing_need(test, small && large);
    testing_need(test, counter[COUNTER_heap_bytes] == bytes + 100100 && counter[COUNTER_heap_blocks] == blocks + 2);
    heap_free(small);
    heap_free(large);
    testing_need(test, counter[COUNTER_heap_bytes] == bytes && counter[COUNTER_heap_blocks] == blocks);
    testing_ok(test, "counters follow");
}

static void run_out(const struct testing *test)
{
    testing_need(test, !heap_alloc(1ul << 30));
    testing_need(test, !heap_alloc(SIZE_MAX));
    testing_ok(test, "too much is refused");
}

static void free_twice(uint64_t argument)
{
    char *block = heap_alloc(40);

    (void)argument;
    __asm__ volatile("" : "+r"(block));
    heap_free(block);
    __asm__ volatile("" : "+r"(block));
    heap_free(block);
}

static void free_inside(uint64_t argument)
{
    char *block = heap_alloc(400);

    (void)argument;
    for (int i = 0; i < 400; i++)
        block[i] = (char)i;
    char *inside = block + 64;
    __asm__ volatile("" : "+r"(inside));
    heap_free(inside);
}

/* Each of these panics, which ends the task; what is not freed then is the bad program's leak. */
static void misuse(const struct testing *test)
{
    static void (*const entries[])(uint64_t) = {free_twice, free_inside};

    for (size_t i = 0; i < array_size(entries); i++) {
        struct task *task = task_spawn("misuse", entries[i], 0, NULL);
        int32_t code;
        testing_need(test, task);
        testing_need(test, task_join(task, &code) == JOIN_FAILED);
    }
    testing_ok(test, "a block freed twice, and what is no block, end the task");
}

static int test_heap_main(int argc, char **argv)
{
    struct testing test = testing_begin("test_heap");

    (void)argc;
    (void)argv;
    if (testing_has_recovery())
        misuse(&test);
    churn_together(&test);
    test = testing_begin("test_heap");
    testing_need(&test, churn(99));
    testing_ok(&test, "blocks are zeroed, aligned and apart");
    churn_together(&test);
    testing_ok(&test, "from several tasks too");
    count_blocks(&test);
    run_out(&test);
    testing_end(&test);
}
MAIN(test_heap_main);
