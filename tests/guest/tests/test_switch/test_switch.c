/* The change of stacks keeps registers and stacks apart while many tasks move between all CPUs. */
#include "cells/core/arena/arena.h"
#include "cells/core/cpu/cpu.h"
#include "cells/task/scheduler/scheduler.h"
#include "cells/task/task/task.h"
#include "tests/guest/fixtures/testing/testing.h"

CELL("test_switch", KERNEL, 1);

#define TASKS 40
#define TURNS 400
#define WORDS 128

/* Fills its stack, gives up its CPU in two ways, and finds its stack as it was. */
static void wander(uint64_t seed)
{
    for (uint64_t turn = 0; turn < TURNS; turn++) {
        volatile uint64_t words[WORDS];
        for (uint64_t i = 0; i < WORDS; i++)
            words[i] = seed * 1000003 + turn * 131 + i;
        if (turn % 64 == seed % 64)
            scheduler_sleep_ns(1000000);
        else
            scheduler_yield();
        for (uint64_t i = 0; i < WORDS; i++)
            if (words[i] != seed * 1000003 + turn * 131 + i)
                task_exit(1);
    }
    task_exit(0);
}

static void wander_together(const struct testing *test)
{
    struct task *tasks[TASKS];

    for (uint64_t i = 0; i < TASKS; i++) {
        tasks[i] = task_spawn("wander", wander, i + 1, NULL);
        testing_need(test, tasks[i]);
    }
    for (size_t i = 0; i < TASKS; i++) {
        int32_t code = -1;
        testing_need(test, task_join(MOVE(tasks[i]), &code) == JOIN_ENDED && code == 0);
    }
}

/* The records of the arena agree with which tasks run. */
static void records(const struct testing *test)
{
    const struct arena_task *record = task_this()->record;
    GUARD(preempt) stay = scheduler_stay();

    testing_need(test, record->state == TASK_RUNNING && record->cpu == cpu_this()->index);
    testing_need(test, same(cpu_this()->record->current_task, task_this()->ref));
    testing_need(test, arena_sound(task_this()->ref));
    testing_need(test, arena_section(record->entry_section)->virt != 0);
    testing_need(test, record->stack_virt < (uint64_t)&record &&
                           (uint64_t)&record < record->stack_virt + record->stack_bytes);
}

static int test_switch_main(int argc, char **argv)
{
    struct testing test = testing_begin("test_switch");

    (void)argc;
    (void)argv;
    wander_together(&test);
    test = testing_begin("test_switch");
    wander_together(&test);
    testing_ok(&test, "40 tasks keep their stacks over 16000 switches");
    records(&test);
    testing_ok(&test, "the arena says who runs where");
    testing_end(&test);
}
MAIN(test_switch_main);
