/* The workload's rounds are right, and it leaves nothing behind. */
#include "cells/core/arena/arena.h"
#include "cells/task/application/application.h"
#include "cells/task/task/task.h"
#include "tests/guest/fixtures/testing/testing.h"

CELL("test_workload", KERNEL, 1);

#define ROUNDS "rounds=20"

static uint64_t counter(enum arena_counter which)
{
    return __atomic_load_n(&arena_header()->counter[which], __ATOMIC_RELAXED);
}

static struct task *start(const struct testing *test, int argc, const char *const *argv)
{
    struct task *task = NULL;

    testing_need(test, application_run("workload", argc, argv, &task, NULL) == ERR_OK);
    return task;
}

static void run_rounds(const struct testing *test)
{
    uint64_t rounds = counter(COUNTER_rounds), ok = counter(COUNTER_checksums_ok);
    int32_t code = -1;
    struct task *task = start(test, 2, (const char *const[]){"workload", ROUNDS});

    testing_need(test, task_join(task, &code) == JOIN_ENDED && code == 0);
    testing_need(test, counter(COUNTER_rounds) == rounds + 20 && counter(COUNTER_checksums_ok) == ok + 20);
}

static int test_workload_main(int, char **)
{
    struct testing test = testing_begin("test_workload");

    run_rounds(&test);
    test = testing_begin("test_workload");
    run_rounds(&test);
    testing_ok(&test, "20 rounds, 20 right checksums");
    testing_need(&test, counter(COUNTER_checksums_bad) == 0);
    testing_end(&test);
}
MAIN(test_workload_main);
