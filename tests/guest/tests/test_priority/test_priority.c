/* Another scheduler, under load (thesis §9.1.2): from turns in a queue to priorities with tokens in a heap, both cells
 * as one set, and back. Tasks of three priorities count and log on one CPU: shares and order change as they must; all
 * other tasks continue, whatever they wait for. */
#include "cells/channel/channel/channel.h"
#include "cells/core/arena/arena.h"
#include "cells/core/cpu/cpu.h"
#include "cells/core/lifecycle/lifecycle.h"
#include "cells/core/loader/loader.h"
#include "cells/evolve/reap/reap.h"
#include "cells/host/log/log.h"
#include "cells/memory/heap/heap.h"
#include "cells/task/park/park.h"
#include "cells/task/scheduler/scheduler.h"
#include "cells/task/task/task.h"
#include "tests/guest/fixtures/testing/exchange.h"
#include "tests/guest/fixtures/testing/testing.h"

CELL("test_priority", KERNEL, 1);

#define SPINNERS  3
#define WINDOW    250 /* ticks */
#define TURN_NS   2000000
#define LOG_MAX   4096
#define EXCHANGES 20
#define LINES     2

static const char *const both[] = {"scheduler", "run_queue", NULL},
                         *const newer[] = {"scheduler_v2", "run_queue_v2", NULL},
                         *const older[] = {"scheduler", "run_queue", NULL};
static struct report report;
static bool stopping, resting;

static bool is_set(const bool *flag)
{
    return __atomic_load_n(flag, __ATOMIC_RELAXED);
}

/* ---- tasks of several priorities, all on CPU 0: low, middle, high ---- */

static const unsigned priorities[SPINNERS] = {1, 4, 16};
static struct task *spinner[SPINNERS];
static uint64_t loops[SPINNERS];

/* Ticks that each has run for, as it has seen them: a share in loops would be that of a busy host, too. */
static uint64_t slices[SPINNERS], tick_seen;

/* Which task ran, an entry for each time that one was chosen. */
static struct {
    uint32_t used;
    uint8_t who[LOG_MAX];
} turns;

static void spin(uint64_t self)
{
    while (!is_set(&stopping)) {
        while (is_set(&resting))
            scheduler_sleep_ns(TURN_NS);
        uint32_t at = turns.used; /* all on one CPU: an entry that an interrupt here costs is not missed */
        uint64_t tick = __atomic_load_n(&cpu_get(0)->record->ticks, __ATOMIC_RELAXED);
        loops[self]++;
        slices[self] += tick != tick_seen;
        tick_seen = tick;
        if (at < LOG_MAX && (!at || turns.who[at - 1] != self)) {
            turns.who[at] = (uint8_t)self;
            turns.used = at + 1;
        }
    }
}

/* ---- other work, on any CPU ---- */

static struct line {
    struct channel_end *sender, *receiver;
    uint64_t sent, received, slept;
} lines[LINES];

static void send_all(uint64_t index)
{
    struct line *line = &lines[index];

    while (!is_set(&stopping)) {
        if (channel_send(line->sender, &line->sent, 0) == CHANNEL_OK)
            line->sent++;
        if (line->sent % 8 == 0)
            scheduler_sleep_ns(TURN_NS);
    }
    channel_end_put(MOVE(line->sender));
}

static void receive_all(uint64_t index)
{
    struct line *line = &lines[index];
    uint64_t message;

    while (channel_receive(line->receiver, &message, 0) == CHANNEL_OK)
        if (message == line->received)
            line->received++;
    channel_end_put(MOVE(line->receiver));
}

static void sleep_all(uint64_t index)
{
    while (!is_set(&stopping)) {
        scheduler_sleep_ns(TURN_NS);
        lines[index].slept++;
    }
}

static struct task *worker[3 * LINES];

static void start(const struct testing *test)
{
    static void (*const work[])(uint64_t) = {send_all, receive_all, sleep_all};

    stopping = false;
    turns.used = 0;
    for (unsigned i = 0; i < SPINNERS; i++) {
        loops[i] = 0;
        spinner[i] = task_spawn("spinner", spin, i, &(struct task_options){.pinned = 1});
        testing_need(test, spinner[i]);
    }
    for (unsigned i = 0; i < LINES; i++) {
        lines[i] = (struct line){0};
        testing_need(test, channel_new(4, 8, &lines[i].sender, &lines[i].receiver) == ERR_OK);
    }
    for (unsigned i = 0; i < 3 * LINES; i++) {
        worker[i] = task_spawn("worker", work[i % 3], i / 3, NULL);
        testing_need(test, worker[i]);
    }
}

static void stop(const struct testing *test)
{
    __atomic_store_n(&stopping, true, __ATOMIC_RELAXED);
    for (unsigned i = 0; i < SPINNERS; i++)
        testing_need(test, task_join(MOVE(spinner[i]), NULL) == JOIN_ENDED);
    for (unsigned i = 0; i < 3 * LINES; i++)
        testing_need(test, task_join(MOVE(worker[i]), NULL) == JOIN_ENDED);
    for (unsigned i = 0; i < LINES; i++)
        testing_need(test, lines[i].sent == lines[i].received && lines[i].slept);
}

/* Every task makes progress: none was lost, none sleeps for ever. */
static void all_go_on(const struct testing *test)
{
    uint64_t before[SPINNERS + 3 * LINES];
    const uint64_t *counter[SPINNERS + 3 * LINES];
    size_t n = 0;

    for (unsigned i = 0; i < SPINNERS; i++)
        counter[n++] = &loops[i];
    for (unsigned i = 0; i < LINES; i++) {
        counter[n++] = &lines[i].sent;
        counter[n++] = &lines[i].received;
        counter[n++] = &lines[i].slept;
    }
    for (size_t i = 0; i < n; i++)
        before[i] = __atomic_load_n(counter[i], __ATOMIC_RELAXED);
    for (size_t i = 0; i < n; i++) {
        bool moves = testing_await(__atomic_load_n(counter[i], __ATOMIC_RELAXED) != before[i]);
        if (!moves)
            log_warn("counter %zu stands still", i);
        testing_need(test, moves);
    }
}

/* ---- shares and order ---- */

struct window {
    uint64_t turns, ticks; /* of CPU 0 */
    uint64_t slices[SPINNERS];
    uint64_t after[SPINNERS][SPINNERS]; /* [a][b]: how often b ran right after a */
};

static struct window watch(void)
{
    struct window window = {0};
    uint64_t before[SPINNERS];

    for (unsigned i = 0; i < SPINNERS; i++)
        before[i] = __atomic_load_n(&slices[i], __ATOMIC_RELAXED);
    uint64_t ticks = cpu_get(0)->record->ticks;
    __atomic_store_n(&turns.used, 0, __ATOMIC_RELAXED);
    (void)testing_await((window.ticks = cpu_get(0)->record->ticks - ticks) >= WINDOW); /* a busy host skips some */
    for (unsigned i = 0; i < SPINNERS; i++)
        window.slices[i] = __atomic_load_n(&slices[i], __ATOMIC_RELAXED) - before[i];
    uint32_t used = __atomic_load_n(&turns.used, __ATOMIC_RELAXED);
    window.turns = used;
    for (uint32_t i = 1; i < used && i < LOG_MAX; i++)
        window.after[turns.who[i - 1] % SPINNERS][turns.who[i] % SPINNERS]++;
    log_info(
        "slices of low, middle, high: %lu %lu %lu; low to middle %lu, middle to low %lu, of %lu turns in %lu ticks",
        window.slices[0], window.slices[1], window.slices[2], window.after[0][1], window.after[1][0], window.turns,
        window.ticks);
    return window;
}

/* Each has the same share, a tick at a time, and is always followed by the same one. */
static bool takes_turns(const struct window *w)
{
    uint64_t up = w->after[0][1], down = w->after[1][0];

    for (unsigned i = 0; i < SPINNERS; i++)
        if (2 * w->slices[i] < w->slices[(i + 1) % SPINNERS] || 2 * w->slices[i] < w->slices[(i + 2) % SPINNERS])
            return false;
    return (up > 3 * down || down > 3 * up) && 3 * w->turns > w->ticks;
}

/* Four times as much with each priority, of which one and a half is asked for, since ticks that come late on a busy
 * host go to whoever runs; high, middle, low in each epoch. */
static bool has_priorities(const struct window *w)
{
    return w->slices[0] && 2 * w->slices[1] > 3 * w->slices[0] && 2 * w->slices[2] > 3 * w->slices[1] &&
           w->after[1][0] > 2 * w->after[0][1] && 3 * w->turns < w->ticks;
}

static void set_priorities(const struct testing *test)
{
    enum err (*set)(const struct task *, unsigned);
    unsigned (*get)(const struct task *);
    uint64_t address;

    testing_need(test, lifecycle_symbol("scheduler_set_priority", &address) == ERR_OK);
    set = (enum err(*)(const struct task *, unsigned))address;
    testing_need(test, lifecycle_symbol("scheduler_priority", &address) == ERR_OK);
    get = (unsigned (*)(const struct task *))address;
    testing_need(test, get(spinner[0]) == 8 && set(spinner[0], 0) == ERR_RANGE && set(spinner[0], 33) == ERR_RANGE);
    for (unsigned i = 0; i < SPINNERS; i++)
        testing_need(test, set(spinner[i], priorities[i]) == ERR_OK && get(spinner[i]) == priorities[i]);
}

/* ---- swaps ---- */

static uint32_t version_of(const char *name)
{
    return arena_cell(arena_cell_find(NAMESPACE_ROOT, name))->version;
}

static void exchange(const struct testing *test, uint32_t version)
{
    testing_need(test, exchange_cells(both, version == 2 ? newer : older, 0, &report) == ERR_OK);
    testing_need(test, version_of("scheduler") == version && version_of("run_queue") == version);
}

/* The idle tasks have to run too, so that old addresses on their stacks are overwritten. */
static void all_reaped(const struct testing *test)
{
    __atomic_store_n(&resting, true, __ATOMIC_RELAXED);
    testing_need(test, testing_await(!reap_replaced()));
    __atomic_store_n(&resting, false, __ATOMIC_RELAXED);
}

static void one_alone(const struct testing *test)
{
    static const char *const scheduler[] = {"scheduler", NULL}, *const run_queue[] = {"run_queue", NULL},
                             *const scheduler_v2[] = {"scheduler_v2", NULL},
                             *const run_queue_v2[] = {"run_queue_v2", NULL};

    testing_need(test, exchange_cells(scheduler, scheduler_v2, 0, &report) != ERR_OK);
    testing_need(test, exchange_cells(run_queue, run_queue_v2, 0, &report) == ERR_MISSING_SYMBOL);
    testing_need(test, version_of("scheduler") == 1 && version_of("run_queue") == 1);
}

static void change_policy(const struct testing *test)
{
    struct window window = watch();

    testing_need(test, takes_turns(&window) &&
                           window.after[0][1] > window.after[1][0]); /* in the order in which they were queued */
    exchange(test, 2);
    set_priorities(test);
    window = watch();
    testing_need(test, has_priorities(&window));
    exchange(test, 1);
    window = watch();
    testing_need(test, takes_turns(&window));
    all_go_on(test);
}

static void again_and_again(const struct testing *test)
{
    for (unsigned i = 0; i < EXCHANGES; i++) {
        exchange(test, i % 2 ? 1 : 2);
        if (i % 2 == 0)
            set_priorities(test);
        all_go_on(test);
    }
    all_reaped(test);
}

/* ---- after a fault ---- */

static void fail(uint64_t argument)
{
    *(volatile uint64_t *)argument = 1;
}

static void survives(const struct testing *test)
{
    exchange(test, 2);
    set_priorities(test);
    for (int i = 0; i < 5; i++) {
        OWN(task) struct task *failing = task_spawn("failing", fail, 8, NULL);
        testing_need(test, failing && task_join(MOVE(failing), NULL) == JOIN_FAILED);
        {
            GUARD(park) parked = park_all();
            scheduler_rebuild();
        }
        all_go_on(test);
    }
    struct window window = watch();
    testing_need(test, has_priorities(&window));
    exchange(test, 1);
    all_go_on(test);
}

static int test_priority_main(int, char **)
{
    struct testing test = testing_begin("test_priority");

    start(&test);
    exchange(&test, 2); /* page tables and handles for two versions stay */
    exchange(&test, 1);
    stop(&test);
    all_reaped(&test);
    test = testing_begin("test_priority");
    one_alone(&test);
    testing_ok(&test, "neither cell can be replaced alone");
    start(&test);
    change_policy(&test);
    testing_ok(&test, "shares and order are those of the scheduler that is live");
    again_and_again(&test);
    testing_ok(&test, "20 exchanges under load, and all tasks go on");
    survives(&test);
    testing_ok(&test, "faults and a rebuild are survived with priorities too");
    stop(&test);
    all_reaped(&test);
    testing_end(&test);
}
MAIN(test_priority_main);
