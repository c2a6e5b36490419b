/* No CPU uses a translation that is no longer valid: a virtual page is bound to other frames again and again, while
 * tasks on all CPUs read it. */
#include "cells/core/cpu/cpu.h"
#include "cells/core/frame/frame.h"
#include "cells/core/page/page.h"
#include "cells/task/scheduler/scheduler.h"
#include "cells/task/task/task.h"
#include "tests/guest/fixtures/testing/testing.h"

CELL("test_shootdown", KERNEL, 1);

#define ROUNDS 30

static struct board {
    const volatile uint64_t *at; /* NULL: stop */
    uint64_t round;              /* the word that is at `at`, and was written before this */
    uint64_t seen[CPU_MAX];
    uint64_t wrong;
} board;

/* Reads in each round, so that the translation is in this CPU's TLB when the next one begins. */
static void reader(uint64_t index)
{
    for (uint64_t last = 0;;) {
        uint64_t round = __atomic_load_n(&board.round, __ATOMIC_ACQUIRE);
        if (round == UINT64_MAX)
            return;
        if (round == last) {
            scheduler_yield();
            continue;
        }
        if (*board.at != round)
            __atomic_fetch_add(&board.wrong, 1, __ATOMIC_RELAXED);
        last = round;
        __atomic_store_n(&board.seen[index], round, __ATOMIC_RELEASE);
    }
}

static void wait_for_all(const struct testing *test, uint64_t round)
{
    for (unsigned cpu = 0; cpu < cpu_count(); cpu++)
        for (uint64_t since = 0; __atomic_load_n(&board.seen[cpu], __ATOMIC_ACQUIRE) != round; scheduler_yield())
            testing_need(test, testing_is_time(&since));
}

static void play_round(const struct testing *test, uint64_t round, uint64_t *virt)
{
    OWN(mapped_pages) struct mapped_pages *mp = page_map(FRAME_BYTES, PAGE_WRITE);

    testing_need(test, mp);
    testing_need(test, !*virt || *virt == (uint64_t)page_start(mp)); /* the case that this test is about */
    *virt = (uint64_t)page_start(mp);
    *(volatile uint64_t *)page_start(mp) = round;
    board.at = page_start(mp);
    __atomic_store_n(&board.round, round, __ATOMIC_RELEASE);
    wait_for_all(test, round);
}

static void rebind(const struct testing *test)
{
    struct task *tasks[CPU_MAX] = {0};
    uint64_t virt = 0, kept = 0;

    board.round = 0;
    for (unsigned cpu = 0; cpu < cpu_count(); cpu++) {
        board.seen[cpu] = 0;
        tasks[cpu] = task_spawn("reader", reader, cpu, &(struct task_options){.pinned = cpu + 1});
        testing_need(test, tasks[cpu]);
    }
    for (uint64_t round = 1; round <= ROUNDS; round++) {
        play_round(test, round, &virt);
        /* A frame is held back every other time, so that the next round gets another one. */
        if (round % 2)
            testing_need(test, frame_alloc(1, &kept) == ERR_OK);
        else
            frame_free(kept, 1);
    }
    __atomic_store_n(&board.round, UINT64_MAX, __ATOMIC_RELEASE);
    for (unsigned cpu = 0; cpu < cpu_count(); cpu++)
        testing_need(test, task_join(MOVE(tasks[cpu]), NULL) == JOIN_ENDED);
    testing_need(test, !board.wrong);
}

static int test_shootdown_main(int argc, char **argv)
{
    struct testing test = testing_begin("test_shootdown");

    (void)argc;
    (void)argv;
    rebind(&test);
    test = testing_begin("test_shootdown");
    rebind(&test);
    testing_ok(&test, "30 rebindings, and nobody read an old page");
    testing_end(&test);
}
MAIN(test_shootdown_main);
