/* A thousand tasks are spawned, joined and released, and leave nothing behind. */
#include "cells/core/cpu/cpu.h"
#include "cells/task/park/park.h"
#include "cells/task/scheduler/scheduler.h"
#include "cells/task/task/task.h"
#include "tests/guest/fixtures/testing/testing.h"

CELL("test_spawn", KERNEL, 1);

#define TASKS    1000
#define TOGETHER 50

static uint32_t ended_calls, runs;
static bool gate_open;

static void answer(uint64_t argument)
{
    __atomic_fetch_add(&runs, 1, __ATOMIC_RELAXED);
    task_exit((int32_t)argument);
}

static void return_at_once(uint64_t argument)
{
    (void)argument;
    __atomic_fetch_add(&runs, 1, __ATOMIC_RELAXED);
}

static void wait_at_gate(uint64_t argument)
{
    (void)argument;
    while (!__atomic_load_n(&gate_open, __ATOMIC_RELAXED))
        scheduler_sleep_ns(10000000);
}

static void count_end(uint64_t argument)
{
    __atomic_fetch_add(&ended_calls, (uint32_t)argument, __ATOMIC_RELAXED);
}

static void one_by_one(const struct testing *test, int tasks)
{
    for (int i = 0; i < tasks; i++) {
        struct task *task = task_spawn("answer", answer, (uint64_t)i, NULL);
        int32_t code = -1;
        testing_need(test, task);
        testing_need(test, task_join(task, &code) == JOIN_ENDED && code == i);
    }
}

static void together(const struct testing *test)
{
    struct task *tasks[TOGETHER];

    for (int i = 0; i < TOGETHER; i++) {
        tasks[i] = task_spawn("answer", answer, (uint64_t)(i + 7), NULL);
        testing_need(test, tasks[i]);
    }
    for (int i = TOGETHER - 1; i >= 0; i--) {
        int32_t code = -1;
        testing_need(test, task_join(MOVE(tasks[i]), &code) == JOIN_ENDED && code == i + 7);
    }
}

static void wait_for(const struct testing *test, const uint32_t *value, uint32_t expected)
{
    testing_need(test, testing_await(__atomic_load_n(value, __ATOMIC_RELAXED) == expected));
}

static void let_go(const struct testing *test)
{
    runs = ended_calls = 0;
    for (int i = 0; i < TOGETHER; i++) {
        struct task *task = task_spawn("let_go", return_at_once, 2, &(struct task_options){.ended = count_end});
        testing_need(test, task);
        task_put(task);
    }
    wait_for(test, &runs, TOGETHER);
    wait_for(test, &ended_calls, 2 * TOGETHER);
}

/* As after a fault in the scheduler: the task ends while it is in a run queue, before others. */
static void end_while_queued(uint64_t behind)
{
    GUARD(interrupts) off = interrupts_off();

    scheduler_ready(task_this());
    *(struct task **)behind = task_spawn("behind", return_at_once, 0, NULL);
}

static void queued(const struct testing *test)
{
    static struct task *behind;

    runs = 0;
    struct task *task = task_spawn("queued", end_while_queued, (uint64_t)&behind, NULL);
    testing_need(test, task && task_join(task, NULL) == JOIN_ENDED);
    testing_need(test, behind && task_join(MOVE(behind), NULL) == JOIN_ENDED && runs == 1);
}

/* As after a fault elsewhere while a task is being made: it runs when its maker says so, and once. */
static void rebuilt(const struct testing *test)
{
    runs = 0;
    OWN(task) struct task *task = task_new("made", return_at_once, 0, NULL);
    testing_need(test, task);
    {
        GUARD(park) parked = park_all();
        scheduler_rebuild();
    }
    scheduler_sleep_ns(20000000);
    testing_need(test, runs == 0);
    scheduler_ready(task);
    testing_need(test, task_join(MOVE(task), NULL) == JOIN_ENDED && runs == 1);
}

/* The table of tasks is finite: NULL then, and all is well afterwards. */
static void too_many(const struct testing *test)
{
    static struct task *tasks[ARENA_TASKS_MAX];
    size_t count = 0;

    gate_open = false;
    while (count < ARENA_TASKS_MAX && (tasks[count] = task_spawn("many", wait_at_gate, 0, NULL)))
        count++;
    testing_need(test, count > TOGETHER && count < ARENA_TASKS_MAX);
    __atomic_store_n(&gate_open, true, __ATOMIC_RELAXED);
    for (size_t i = 0; i < count; i++)
        testing_need(test, task_join(MOVE(tasks[i]), NULL) == JOIN_ENDED);
}

static int test_spawn_main(int argc, char **argv)
{
    struct testing test = testing_begin("test_spawn");

    (void)argc;
    (void)argv;
    too_many(&test);
    test = testing_begin("test_spawn");
    one_by_one(&test, TASKS);
    testing_ok(&test, "1000 tasks one by one");
    for (int i = 0; i < TASKS / TOGETHER; i++)
        together(&test);
    testing_ok(&test, "1000 tasks, 50 at a time");
    let_go(&test);
    testing_ok(&test, "tasks that nobody joins end too, and say so");
    for (int i = 0; i < TOGETHER; i++)
        queued(&test);
    testing_ok(&test, "a task that ends while it is queued takes nobody along");
    rebuilt(&test);
    testing_ok(&test, "a task that is being made is in no queue, whoever rebuilds the queues");
    too_many(&test);
    testing_ok(&test, "a full table refuses");
    testing_end(&test);
}
MAIN(test_spawn_main);
