/* Wait queues lose no wake-up, between CPUs, and against time-outs. */
#include "cells/core/cpu/cpu.h"
#include "cells/core/lock/lock.h"
#include "cells/task/scheduler/scheduler.h"
#include "cells/task/task/task.h"
#include "cells/task/wait_queue/wait_queue.h"
#include "tests/guest/fixtures/testing/testing.h"

CELL("test_wait", KERNEL, 1);

#define ROUNDS     300
#define TIMEOUT_NS 30000000ull
#define RACERS     8
#define RACES      20

static struct table {
    struct lock lock;
    struct wait_queue changed[2];
    uint64_t turn; /* even: player 0's */
    uint64_t tokens, taken, timeouts;
    uint32_t racing;
} table;

static void play(uint64_t player)
{
    for (uint64_t round = 0; round < ROUNDS; round++) {
        GUARD(lock) held = lock_take(&table.lock);
        while (table.turn % 2 != player)
            (void)wait_queue_wait(&table.changed[player], &held, 0);
        table.turn++;
        (void)wait_queue_wake_one(&table.changed[!player]);
    }
}

static void ping_pong(const struct testing *test, unsigned first_cpu, unsigned second_cpu)
{
    table.turn = 0;
    struct task *a = task_spawn("ping", play, 0, &(struct task_options){.pinned = first_cpu + 1});
    struct task *b = task_spawn("pong", play, 1, &(struct task_options){.pinned = second_cpu + 1});

    testing_need(test, a && b);
    testing_need(test, task_join(a, NULL) == JOIN_ENDED && task_join(b, NULL) == JOIN_ENDED);
    testing_need(test, table.turn == 2 * ROUNDS);
}

static void time_out(const struct testing *test)
{
    uint64_t begin = cpu_ns();
    GUARD(lock) held = lock_take(&table.lock);

    testing_need(test, wait_queue_wait(&table.changed[0], &held, TIMEOUT_NS) == WAKE_TIMEOUT);
    testing_need(test, cpu_ns() - begin >= TIMEOUT_NS);
    testing_need(test, lock_held(&table.lock));
    testing_need(test, !table.changed[0].first);
}

static void wait_for_turn(uint64_t)
{
    GUARD(lock) held = lock_take(&table.lock);

    table.racing++;
    while (!table.turn)
        (void)wait_queue_wait(&table.changed[1], &held, 0);
}

static bool are_all_waiting(void)
{
    GUARD(lock) held = lock_take(&table.lock);

    return table.racing == RACERS;
}

static void wake_everybody(const struct testing *test)
{
    struct task *tasks[RACERS];

    table.turn = table.racing = 0;
    for (size_t i = 0; i < RACERS; i++) {
        tasks[i] = task_spawn("waiter", wait_for_turn, 0, NULL);
        testing_need(test, tasks[i]);
    }
    while (!are_all_waiting())
        scheduler_yield();
    {
        GUARD(lock) held = lock_take(&table.lock);
        table.turn = 1;
        testing_need(test, wait_queue_wake_all(&table.changed[1]) == RACERS && !table.changed[1].first);
    }
    for (size_t i = 0; i < RACERS; i++)
        testing_need(test, task_join(MOVE(tasks[i]), NULL) == JOIN_ENDED);
}

/* Takes tokens, with time-outs about as long as the time between two of them. */
static void race(uint64_t seed)
{
    for (int i = 0; i < RACES; i++) {
        GUARD(lock) held = lock_take(&table.lock);
        while (!table.tokens)
            if (wait_queue_wait(&table.changed[0], &held, (seed + (uint64_t)i) % 4 * 10000000 + 1000000) ==
                WAKE_TIMEOUT)
                table.timeouts++;
        table.tokens--;
        table.taken++;
    }
    __atomic_fetch_sub(&table.racing, 1, __ATOMIC_RELAXED);
}

static void race_with_timeouts(const struct testing *test)
{
    struct task *tasks[RACERS];

    table.taken = table.tokens = 0;
    table.racing = RACERS;
    for (uint64_t i = 0; i < RACERS; i++) {
        tasks[i] = task_spawn("race", race, i, NULL);
        testing_need(test, tasks[i]);
    }
    for (int given = 0; given < RACERS * RACES; given++) {
        {
            GUARD(lock) held = lock_take(&table.lock);
            table.tokens++;
            (void)wait_queue_wake_one(&table.changed[0]);
        }
        if (given % 16 == 0)
            scheduler_sleep_ns(10000000);
        else
            scheduler_yield();
    }
    for (size_t i = 0; i < RACERS; i++)
        testing_need(test, task_join(MOVE(tasks[i]), NULL) == JOIN_ENDED);
    testing_need(test, table.taken == RACERS * RACES && !table.tokens && !table.changed[0].first);
}

static int test_wait_main(int argc, char **argv)
{
    struct testing test = testing_begin("test_wait");

    (void)argc;
    (void)argv;
    ping_pong(&test, 0, cpu_count() - 1);
    race_with_timeouts(&test);
    wake_everybody(&test);
    test = testing_begin("test_wait");
    ping_pong(&test, 0, 0);
    ping_pong(&test, 0, cpu_count() - 1);
    testing_ok(&test, "600 turns, one CPU and two");
    time_out(&test);
    testing_ok(&test, "time-outs come, and not early");
    wake_everybody(&test);
    testing_ok(&test, "everybody is woken at once");
    race_with_timeouts(&test);
    testing_ok(&test, "no wake-up is lost to a time-out");
    testing_end(&test);
}
MAIN(test_wait_main);
