/* Replaced cells are freed whatever they refer to: each cell alone, each two that refer to each other, and all of them
 * at once are replaced by themselves, again and again, and no record, name or frame stays in use. How often: reap=N on
 * the guest's command line. */
#include "cells/core/arena/arena.h"
#include "cells/core/loader/loader.h"
#include "cells/evolve/reap/reap.h"
#include "cells/evolve/swap/swap.h"
#include "cells/host/log/log.h"
#include "cells/lib/string/string.h"
#include "cells/task/scheduler/scheduler.h"
#include "cells/task/task/task.h"
#include "tests/guest/fixtures/testing/testing.h"

CELL("test_reap", KERNEL, 1);

#define TURNS_DEFAULT 1
#define TRIED_NS      300000000 /* by then the teardown task has tried to free what is replaced */

static const struct testing *test;
static struct swap_order order; /* too large for a stack */

/* Not this test and what it stands on: they have frames on the stack that is running. */
static bool is_to_be_replaced(struct cell_ref cell)
{
    const char *name = arena_string(arena_cell(cell)->name);

    return arena_cell(cell)->state == CELL_LIVE && arena_cell(cell)->object.index && !string_equal(name, "test_reap") &&
           !string_equal(name, "testing");
}

static void add(struct cell_ref cell)
{
    order.old[order.olds++] = cell;
    order.object[order.objects++] = arena_cell(cell)->object;
}

/* A word left on a stack may point to a cell for a while. */
static bool all_reaped(void)
{
    return testing_await(!reap_replaced());
}

/* Whether the IDT, which is the same for all CPUs, points into the live exception cell. */
static bool gates_are_live(void)
{
    struct {
        uint16_t limit;
        uint64_t base;
    } __attribute__((packed)) table;

    __asm__ volatile("sidt %0" : "=m"(table));
    const uint32_t *gate = (const uint32_t *)table.base;
    uint64_t entry = (gate[0] & 0xffff) | (gate[1] & 0xffff0000) | (uint64_t)gate[2] << 32;
    return same(arena_cell_at(entry), arena_cell_find(NAMESPACE_ROOT, "exception"));
}

static void replace(void)
{
    static struct report report;
    enum err e = swap_cells(&order, &report);

    if (e)
        log_warn("%s and others: %s: %s", arena_string(arena_cell(order.old[0])->name), err_text(e), report.text);
    testing_need(test, e == ERR_OK && gates_are_live());
    testing_need(test, all_reaped());
    order = (struct swap_order){.namespace_ = NAMESPACE_ROOT};
}

static bool refers(struct cell_ref from, struct cell_ref to)
{
    for_each_section_of (s, to)
        for_each_edge_to (e, s)
            if (same(arena_section(arena_edge(e)->from)->cell, from))
                return true;
    return false;
}

/* ---- what is replaced; by name, since each time it gets another record ---- */

static char names[SWAP_SET_MAX][32];
static size_t count;

static void find_names(void)
{
    for_each_cell (i)
        if (is_to_be_replaced(i) && count < SWAP_SET_MAX)
            string_copy(names[count++], arena_string(arena_cell(i)->name), sizeof names[0]);
}

static struct cell_ref named(size_t i)
{
    return arena_cell_find(NAMESPACE_ROOT, names[i]);
}

static void each_alone(void)
{
    for (size_t i = 0; i < count; i++) {
        add(named(i));
        replace();
    }
}

static void each_two(void)
{
    for (size_t i = 0; i < count; i++)
        for (size_t j = 0; j < i; j++) {
            if (!refers(named(i), named(j)) || !refers(named(j), named(i)))
                continue;
            add(named(i)), add(named(j));
            replace();
        }
}

static void all(void)
{
    for (size_t i = 0; i < count; i++)
        add(named(i));
    replace();
}

static void turn(void)
{
    each_alone();
    each_two();
    all();
}

static bool joined; /* atomic */

static void nothing(uint64_t)
{
}

static void join_one(uint64_t)
{
    struct task *task = task_spawn("joined", nothing, 0, NULL);

    __atomic_store_n(&joined, task && task_join(task, NULL) == JOIN_ENDED, __ATOMIC_RELEASE);
}

/* Who joins a task waits for the teardown task; that does not wait for the loader lock to free a cell. */
static void others_join_while_it_is_locked(void)
{
    static struct report report;
    OWN(task) struct task *task = NULL;

    {
        GUARD(loader) locked = loader_hold();
        add(named(0));
        testing_need(test, swap_cells(&order, &report) == ERR_OK);
        scheduler_sleep_ns(TRIED_NS);
        task = task_spawn("joiner", join_one, 0, NULL);
        testing_need(test, task && testing_await(__atomic_load_n(&joined, __ATOMIC_ACQUIRE)));
    }
    order = (struct swap_order){.namespace_ = NAMESPACE_ROOT};
    testing_need(test, all_reaped());
}

static int test_reap_main(int, char **)
{
    struct testing begun = testing_begin("test_reap");
    unsigned turns = testing_times("reap", TURNS_DEFAULT);

    test = &begun;
    order = (struct swap_order){.namespace_ = NAMESPACE_ROOT};
    find_names();
    others_join_while_it_is_locked();
    testing_ok(test, "tasks are joined while a replaced cell waits for the loader lock");
    turn(); /* tables of pages and ranges of addresses stay */
    begun = testing_begin("test_reap");
    struct testing_records before = testing_records();
    for (unsigned i = 0; i < turns; i++)
        turn();
    testing_same(test, "after all cells were replaced", &before);
    log_info("TEST test_reap: ok: %zu cells replaced alone, by twos and together, %u times, all given back", count,
             turns);
    testing_end(test);
}
MAIN(test_reap_main);
