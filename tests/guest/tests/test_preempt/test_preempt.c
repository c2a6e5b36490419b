/* Tasks that never give up their CPU starve nobody, and a task that asks for it keeps its CPU. */
#include "cells/core/cpu/cpu.h"
#include "cells/task/scheduler/scheduler.h"
#include "cells/task/task/task.h"
#include "tests/guest/fixtures/testing/testing.h"

CELL("test_preempt", KERNEL, 1);

#define SPINNERS (2 * CPU_MAX)
#define STAY_NS  100000000ull

static uint64_t turns[SPINNERS];
static bool stop;

static void spin(uint64_t index)
{
    while (!__atomic_load_n(&stop, __ATOMIC_RELAXED))
        __atomic_fetch_add(&turns[index], 1, __ATOMIC_RELAXED);
}

/* Two spinning tasks per CPU, none of which yields: all make progress. */
static void all_come_forward(const struct testing *test)
{
    struct task *tasks[SPINNERS] = {0};
    size_t count = 2 * cpu_count();

    stop = false;
    for (size_t i = 0; i < count; i++) {
        turns[i] = 0;
        tasks[i] = task_spawn("spin", spin, i, NULL);
        testing_need(test, tasks[i]);
    }
    for (size_t i = 0; i < count; i++) /* this task among them, which sleeps now and then */
        testing_need(test, testing_await(__atomic_load_n(&turns[i], __ATOMIC_RELAXED)));
    for (size_t i = 0; i < count; i++) { /* and again */
        uint64_t before = __atomic_load_n(&turns[i], __ATOMIC_RELAXED);
        testing_need(test, testing_await(__atomic_load_n(&turns[i], __ATOMIC_RELAXED) != before));
    }
    __atomic_store_n(&stop, true, __ATOMIC_RELAXED);
    for (size_t i = 0; i < count; i++)
        testing_need(test, task_join(MOVE(tasks[i]), NULL) == JOIN_ENDED);
}

static void stays(const struct testing *test)
{
    struct task *other = task_spawn("spin", spin, 0, &(struct task_options){.pinned = 1});
    struct task *self = task_this();

    testing_need(test, other);
    stop = false;
    {
        GUARD(preempt) stay = scheduler_stay();
        uint64_t switches = self->record->switches, begin = cpu_ns();
        while (cpu_ns() - begin < STAY_NS)
            cpu_relax();
        testing_need(test, self->record->switches == switches);
    }
    __atomic_store_n(&stop, true, __ATOMIC_RELAXED);
    testing_need(test, task_join(other, NULL) == JOIN_ENDED);
}

static int test_preempt_main(int argc, char **argv)
{
    struct testing test = testing_begin("test_preempt");

    (void)argc;
    (void)argv;
    all_come_forward(&test);
    test = testing_begin("test_preempt");
    all_come_forward(&test);
    testing_ok(&test, "two spinning tasks per CPU starve nobody");
    stays(&test);
    testing_ok(&test, "a task that stays is not switched");
    testing_end(&test);
}
MAIN(test_preempt_main);
