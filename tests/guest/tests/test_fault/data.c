/* Data of the cells that recovery stands on, damaged by hand. They are never given up for fresh data: they are made
 * again, or what has damaged them is. */
#include "cells/core/arena/arena.h"
#include "cells/core/cpu/cpu.h"
#include "cells/core/lock/lock.h"
#include "cells/core/page/page.h"
#include "cells/lib/string/string.h"
#include "cells/memory/heap/heap.h"
#include "cells/recover/fault/fault.h"
#include "cells/task/park/park.h"
#include "cells/task/scheduler/scheduler.h"
#include "cells/task/task/task.h"
#include "cells/task/wait_queue/wait_queue.h"
#include "tests/guest/fixtures/fragile/fragile.h"
#include "tests/guest/tests/test_fault/test_fault.h"

#define GARBAGE    0x3a8a64d63823da39ull
#define POOL_WORDS 3
#define POOL       2 /* of blocks of 64 bytes */
#define BYTES      40
#define NEIGHBOURS 8
#define TRIES_MAX  8          /* half of those after which recovery reboots */
#define ALONE_NS   1100000000 /* after faults that come faster the heap is made again whatever it has to do with them */

static volatile uint64_t zero;
static uint32_t runs;

static bool ends(void (*entry)(uint64_t), uint64_t argument)
{
    runs = 0;
    OWN(task)
    struct task *task = task_spawn("phoenix", entry, argument, &(struct task_options){.restartable = true});
    return task && task_join(MOVE(task), NULL) == JOIN_ENDED && test_fault_settled();
}

/* ---- the heap ---- */

/* The other CPUs are parked, so that none of them meets the damage first. */
static void write_words(uint64_t phys, size_t words)
{
    volatile uint64_t *to = page_direct(phys);

    for (size_t i = 0; i < words; i++)
        to[i] = GARBAGE;
}

static void use_damaged_pool(uint64_t word)
{
    const struct arena_section *pools = test_fault_section("heap", ".bss.pools");
    void *blocks[NEIGHBOURS];

    {
        GUARD(park) parked = park_all();
        if (runs++ == 0)
            write_words(pools->phys + (POOL * POOL_WORDS + word) * 8, 1);
        for (size_t i = 0; i < NEIGHBOURS; i++)
            blocks[i] = heap_alloc(BYTES);
    }
    for (size_t i = 0; i < NEIGHBOURS; i++)
        heap_free(blocks[i]);
}

static void use_damaged_sizes(uint64_t phys)
{
    GUARD(park) parked = park_all();

    if (runs++ == 0)
        write_words(phys, 1);
    heap_free(heap_alloc(BYTES));
}

static bool is_filled(const uint8_t *block, uint8_t with)
{
    for (size_t i = 0; i < BYTES; i++)
        if (block[i] != with)
            return false;
    return true;
}

void test_fault_heap(const struct testing *test)
{
    const struct arena_section *sizes = test_fault_section("heap", ".rodata.sizes");
    uint8_t *kept[NEIGHBOURS];

    testing_need(test, sizes && test_fault_section("heap", ".bss.pools"));
    for (size_t i = 0; i < NEIGHBOURS; i++) {
        kept[i] = heap_alloc(BYTES);
        testing_need(test, kept[i]);
        memset(kept[i], (int)i + 1, BYTES);
    }
    for (uint64_t word = 0; word < POOL_WORDS; word++) {
        scheduler_sleep_ns(ALONE_NS);
        testing_need(test, ends(use_damaged_pool, word) && runs <= 2);
    }
    testing_need(test, ends(use_damaged_sizes, sizes->phys) && runs == 2);
    for (size_t i = 0; i < NEIGHBOURS; i++) {
        testing_need(test, is_filled(kept[i], (uint8_t)i + 1));
        heap_free(kept[i]);
    }
}

/* ---- who gives the heap what is no block ---- */

static void free_total(uint64_t)
{
    runs++;
    fragile_call((void (*)(uint64_t))(uintptr_t)heap_free, fragile_add(0));
}

void test_fault_caller(const struct testing *test)
{
    (void)fragile_add(GARBAGE);
    testing_need(test, ends(free_total, 0) && runs > 1 && runs < TRIES_MAX);
    testing_need(test, fragile_add(0) == 0);
}

/* ---- tasks ---- */

static void lose_task(uint64_t)
{
    GUARD(interrupts) off = interrupts_off();

    cpu_this()->task = (struct task *)GARBAGE;
    *(volatile int *)zero = 1;
}

void test_fault_lost_task(const struct testing *test)
{
    testing_need(test, test_fault_fails(lose_task, 0) && test_fault_settled());
    const struct arena_fault *fault = fault_record(arena_header()->fault_seq);
    testing_need(test, fault && string_equal(fault->task_name, "victim"));
}

static struct {
    struct lock lock;
    struct wait_queue queue;
} waiting;

static void wait_shortly(uint64_t)
{
    GUARD(lock) held = lock_take(&waiting.lock);

    (void)wait_queue_wait(&waiting.queue, &held, 1000000);
}

void test_fault_last_waiter(const struct testing *test)
{
    waiting.queue.last = (struct task *)GARBAGE;
    testing_need(test, !test_fault_fails(wait_shortly, 0));
    testing_need(test, !waiting.queue.first && !waiting.queue.last);
}
