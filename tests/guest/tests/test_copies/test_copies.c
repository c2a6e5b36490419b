/* The cells that carry out swaps are replaced by others whose types have changed, while messages are sent: copies of
 * them carry out the swap, and are freed. A fault at a step leaves all as it was. */
#include "cells/core/archive/archive.h"
#include "cells/core/arena/arena.h"
#include "cells/core/edge/edge.h"
#include "cells/core/lifecycle/lifecycle.h"
#include "cells/core/loader/loader.h"
#include "cells/core/panic/panic.h"
#include "cells/evolve/namespace/namespace.h"
#include "cells/evolve/reap/reap.h"
#include "cells/evolve/swap/swap.h"
#include "cells/host/log/log.h"
#include "cells/lib/string/string.h"
#include "cells/memory/heap/heap.h"
#include "tests/guest/fixtures/testing/retype.h"
#include "tests/guest/fixtures/testing/testing.h"
#include "tests/guest/fixtures/testing/traffic.h"

CELL("test_copies", KERNEL, 1);

#define ROUNDS   4
#define SET_MAX  4
#define MESSAGES 20
#define FAULTS   10 /* at steps that are spread evenly */

typedef const char *set[SET_MAX + 1]; /* NULL ends it */

/* In the last one, tasks that wait for messages are rolled back and held at gates, which belong to a copy. */
static const set sets[] = {
    {"plan"}, {"quiescence"}, {"swap"}, {"plan", "quiescence", "swap"}, {"swap", "channel", "plan"}};

static struct report report;
static struct traffic traffic;

/* The object of the archive; `other`: with other types, or of the other version. */
static enum err keep(const char *name, bool other, struct object_ref *ret_object)
{
    struct archive_member member;
    bool is_channel = string_equal(name, "channel");
    enum err e = archive_find(is_channel && other ? "channel_v2" : name, &member);

    if (e)
        return e;
    OWN(heap) uint8_t *copy = heap_alloc(member.bytes);
    if (!copy)
        return ERR_NOMEM;
    memcpy(copy, member.data, member.bytes);
    struct cell_ref cell = arena_cell_find(NAMESPACE_ROOT, name);
    if (other && !is_channel && !retype_arguments(cell, copy, member.bytes))
        return ERR_INVALID;
    return lifecycle_keep_object(copy, member.bytes, ret_object, &report);
}

static enum err swap_set(const set names, bool other, unsigned flags)
{
    GUARD(loader) locked = loader_hold();
    struct swap_order order = {.namespace_ = NAMESPACE_ROOT, .flags = flags};

    for (size_t i = 0; names[i]; i++) {
        enum err e = keep(names[i], other, &order.object[i]);
        if (e)
            return e;
        order.objects++;
        order.old[order.olds++] = arena_cell_find(NAMESPACE_ROOT, names[i]);
    }
    return namespace_swap(&order, &report);
}

static bool all_reaped(void)
{
    return testing_await(!reap_replaced());
}

/* Copies that linger count too. */
static size_t cells_named(const char *name)
{
    size_t count = 0;

    for_each_cell (i)
        count += arena_cell(i)->state != CELL_FREE && string_equal(arena_string(arena_cell(i)->name), name);
    return count;
}

static void exchange(const struct testing *test, const set names, bool other)
{
    struct cell_ref before = arena_cell_find(NAMESPACE_ROOT, names[0]);
    uint64_t swaps = arena_header()->swap_seq;
    enum err e = swap_set(names, other, 0);

    if (e)
        log_warn("%s: %s: %s", names[0], err_text(e), report.text);
    testing_need(test, e == ERR_OK && report.relocations > 0 && arena_header()->swap_seq == swaps + 1);
    struct cell_ref after = arena_cell_find(NAMESPACE_ROOT, names[0]);
    testing_need(test, !same(before, after) && arena_cell(after)->state == CELL_LIVE);
    traffic_await(test, &traffic, MESSAGES);
    testing_need(test, all_reaped());
    for (size_t i = 0; i < array_size(sets[3]) && sets[3][i]; i++)
        testing_need(test, cells_named(sets[3][i]) == 1);
}

static void there_and_back(const struct testing *test)
{
    for (size_t i = 0; i < array_size(sets); i++) {
        exchange(test, sets[i], true);
        exchange(test, sets[i], false);
    }
}

static void under_traffic(const struct testing *test, unsigned rounds)
{
    traffic_begin(test, &traffic);
    there_and_back(test);
    const struct testing_records before = testing_records();
    for (unsigned i = 0; i < rounds; i++) {
        there_and_back(test);
        log_info("round %u of %u", i + 1, rounds);
    }
    testing_same(test, "swaps of the cells that swap", &before);
    traffic_end(test, &traffic);
}

/* ---- a dry run ---- */

static void tried(const struct testing *test)
{
    const struct testing_records before = testing_records();

    testing_need(test, swap_set(sets[3], true, SWAP_DRY_RUN) == ERR_OK && report.relocations > 0);
    testing_same(test, "a dry run", &before);
}

/* ---- a fault at a step ---- */

static unsigned fault_at, steps;

static void on_step(unsigned step)
{
    steps = step;
    if (step != fault_at)
        return;
    fault_at = 0;
    panic("a fault at a step of the commit");
}

static void exchange_in_vain(uint64_t)
{
    (void)swap_set(sets[3], true, 0);
}

static void fault_once(const struct testing *test, unsigned step, bool counted)
{
    const struct testing_records before = testing_records();
    struct cell_ref cells[3];

    for (size_t i = 0; i < array_size(cells); i++)
        cells[i] = arena_cell_find(NAMESPACE_ROOT, sets[3][i]);
    fault_at = step;
    OWN(task) struct task *task = task_spawn("exchange", exchange_in_vain, 0, NULL);
    testing_need(test, task && task_join(MOVE(task), NULL) == JOIN_FAILED && fault_at == 0);
    for (size_t i = 0; i < array_size(cells); i++)
        testing_need(test, same(arena_cell_find(NAMESPACE_ROOT, sets[3][i]), cells[i]) &&
                               arena_cell(cells[i])->state == CELL_LIVE);
    traffic_await(test, &traffic, MESSAGES);
    testing_need(test, all_reaped());
    if (counted)
        testing_same(test, "a fault amid the commit", &before);
}

static void faults(const struct testing *test)
{
    traffic_begin(test, &traffic);
    testing_need(test, edge_bind(&swap_step_hook, on_step) == ERR_OK);
    exchange(test, sets[3], true);
    unsigned all = steps, last = 0;
    testing_need(test, all > FAULTS);
    exchange(test, sets[3], false);
    for (int i = 0; i < 2; i++) /* recovery reloads this cell once, which takes another place */
        fault_once(test, 1, false);
    for (unsigned i = 1; i <= FAULTS; i++) {
        last = 1 + (all - 1) * i / FAULTS;
        fault_once(test, last, true);
    }
    testing_need(test, last == all && edge_bind(&swap_step_hook, NULL) == ERR_OK);
    exchange(test, sets[3], true);
    exchange(test, sets[3], false);
    traffic_end(test, &traffic);
    log_info("a fault at some of %u steps", all);
}

static int test_copies_main(int argc, char **argv)
{
    struct testing test = testing_begin("test_copies");

    (void)argc;
    (void)argv;
    under_traffic(&test, 0);
    faults(&test);
    test = testing_begin("test_copies");
    under_traffic(&test, testing_times("copies", ROUNDS));
    testing_ok(&test, "types of the cells that swap change under traffic, and back");
    tried(&test);
    testing_ok(&test, "a dry run shows it, and changes nothing");
    faults(&test);
    testing_ok(&test, "a fault at a step of the commit is undone");
    testing_end(&test);
}
MAIN(test_copies_main);
