/* Swaps of several cells at once: two become one and one becomes two, with their data, edges and pointers; what does
 * not fit is refused; a fault at each step of the commit leaves the old cells as they were; each is in the log. */
#include "cells/core/archive/archive.h"
#include "cells/core/arena/arena.h"
#include "cells/core/edge/edge.h"
#include "cells/core/lifecycle/lifecycle.h"
#include "cells/core/loader/loader.h"
#include "cells/core/panic/panic.h"
#include "cells/evolve/reap/reap.h"
#include "cells/evolve/swap/swap.h"
#include "cells/host/log/log.h"
#include "cells/lib/string/string.h"
#include "cells/memory/heap/heap.h"
#include "cells/task/scheduler/scheduler.h"
#include "cells/task/task/task.h"
#include "tests/guest/fixtures/left/left.h"
#include "tests/guest/fixtures/testing/testing.h"

CELL("test_exchange", KERNEL, 1);

#define NAMES_MAX 3

typedef const char *names[NAMES_MAX]; /* NULL ends them */

static struct report report;

static enum err exchange(const names old, const names member, unsigned flags)
{
    GUARD(loader) locked = loader_hold();
    struct swap_order order = {.namespace_ = NAMESPACE_ROOT, .flags = flags};
    struct archive_member found;

    for (size_t i = 0; i < NAMES_MAX && old[i]; i++)
        order.old[order.olds++] = arena_cell_find(NAMESPACE_ROOT, old[i]);
    for (size_t i = 0; i < NAMES_MAX && member[i]; i++) {
        enum err e = archive_find(member[i], &found);
        if (!e)
            e = lifecycle_keep_object(found.data, found.bytes, &order.object[order.objects], &report);
        if (e)
            return e;
        order.objects++;
    }
    return swap_cells(&order, &report);
}

static const names both = {"left", "right"}, left = {"left"}, right = {"right"}, one = {"left_v2"}, none = {NULL},
                   core = {"loader", "page"};

static bool all_reaped(void)
{
    return testing_await(!reap_replaced());
}

/* The counts of the cells continue, whichever versions are live. */
static uint64_t calls;

static void check_goes_on(const struct testing *test)
{
    uint64_t sum = right_sum();

    calls++;
    testing_need(test, left_call() == 2 * calls);
    testing_need(test, right_sum() == sum + calls);
}

static void merge_and_split(const struct testing *test)
{
    static uint64_t (*volatile kept)(uint64_t n);
    uint64_t (*volatile on_stack)(uint64_t n) = right_twice;
    struct cell_ref cell;

    kept = right_twice;
    check_goes_on(test);
    testing_need(test, exchange(both, one, 0) == ERR_OK && report.transferred_bytes >= 24);
    check_goes_on(test);
    cell = arena_cell_find(NAMESPACE_ROOT, "left");
    testing_need(test, arena_cell(cell)->version == 2 && !arena_cell_find(NAMESPACE_ROOT, "right").index);
    testing_need(test, same(arena_cell_at((uint64_t)kept), cell) && same(arena_cell_at((uint64_t)on_stack), cell));
    testing_need(test, report.tasks >= 1 && report.tasks < testing_tasks()); /* most cannot reach the cells */
    testing_need(test, all_reaped());
    check_goes_on(test);
    testing_need(test, exchange(left, both, 0) == ERR_OK);
    check_goes_on(test);
    testing_need(test, same(arena_cell_at((uint64_t)kept), arena_cell_find(NAMESPACE_ROOT, "right")));
    testing_need(test, all_reaped());
    check_goes_on(test);
}

/* ---- callbacks ---- */

/* Functions that want to be called, in heap blocks that static data points to. */
struct listener {
    struct listener *next;
    uint64_t number;
    right_call *call;
};
static struct {
    uint64_t count;
    struct listener *first;
} listeners;

static void listen(const struct testing *test, right_call *call)
{
    struct listener *listener = heap_alloc(sizeof *listener);

    testing_need(test, listener);
    *listener = (struct listener){listeners.first, listeners.count++, call};
    listeners.first = listener;
}

/* No pointer is left in freed memory. */
static void listen_no_more(void)
{
    while (listeners.first) {
        struct listener *listener = listeners.first;
        listeners.first = listener->next;
        memset(listener, 0, sizeof *listener);
        heap_free(listener);
    }
}

static void refuse_pointer(const struct testing *test, enum err want, const char *text)
{
    for (unsigned flags = 0; flags <= SWAP_DRY_RUN; flags += SWAP_DRY_RUN) {
        const struct testing_records before = testing_records();
        enum err e = exchange(both, one, flags);
        if (e != want || !string_equal(report.text, text))
            log_warn("%s: %s", err_text(e), report.text);
        testing_need(test, e == want && string_equal(report.text, text));
        testing_same(test, text, &before);
    }
}

static void called_back(const struct testing *test)
{
    listen(test, right_pointer(RIGHT_KEPT));
    listen(test, NULL);
    struct listener *kept = listeners.first->next;
    testing_need(test, exchange(both, one, 0) == ERR_OK && kept->call(1) == 2);
    testing_need(test, same(arena_cell_at((uint64_t)kept->call), arena_cell_find(NAMESPACE_ROOT, "left")));
    testing_need(test, all_reaped() && exchange(left, both, 0) == ERR_OK && kept->call(1) == 2);
    testing_need(test, same(arena_cell_at((uint64_t)kept->call), arena_cell_find(NAMESPACE_ROOT, "right")));
    testing_need(test, all_reaped());

    kept->call = right_pointer(RIGHT_GONE);
    refuse_pointer(test, ERR_MISSING_SYMBOL,
                   "cell test_exchange: listeners.first->next->call points to right_gone of cell right, which has no "
                   "counterpart");
    kept->call = NULL;
    listeners.first->call = right_pointer(RIGHT_RETYPED);
    refuse_pointer(test, ERR_WRONG_TYPE,
                   "cell test_exchange: listeners.first->call points to right_retyped of cell right, which has another "
                   "type then");
    listen_no_more();
    testing_need(test, exchange(both, one, 0) == ERR_OK && all_reaped());
    testing_need(test, exchange(left, both, 0) == ERR_OK && all_reaped());
    check_goes_on(test);
}

/* ---- refusals ---- */

static void refuse(const struct testing *test, const char *what, enum err want, const names old, const names member)
{
    const struct testing_records before = testing_records();
    enum err e = exchange(old, member, 0);

    if (e != want) {
        log_warn("%s: %s: %s", what, err_text(e), report.text);
        testing_fail(test, what, "test_exchange.c", __LINE__);
    }
    testing_same(test, what, &before);
    check_goes_on(test);
}

static void refused(const struct testing *test)
{
    static const names twice = {"left", "left"};

    refuse(test, "two cells with one symbol", ERR_DUPLICATE_SYMBOL, left, one);
    refuse(test, "removal of what is used", ERR_MISSING_SYMBOL, right, none);
    refuse(test, "loaded already", ERR_EXISTS, none, right);
    refuse(test, "two versions at once", ERR_EXISTS, both, twice);
    refuse(test, "the same cell twice", ERR_INVALID, twice, one);
    refuse(test, "a need that goes", ERR_UNRESOLVED, both, left);
    testing_need(test, exchange(both, one, SWAP_DRY_RUN) == ERR_OK && report.relocations > 0);
    check_goes_on(test);
}

/* ---- a fault at each step ---- */

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
    (void)exchange(both, one, 0);
}

static void renew_in_vain(uint64_t)
{
    (void)exchange(core, core, 0);
}

static void fault_once(const struct testing *test, unsigned step, bool counted)
{
    const struct testing_records before = testing_records();
    struct cell_ref cells[2] = {arena_cell_find(NAMESPACE_ROOT, "left"), arena_cell_find(NAMESPACE_ROOT, "right")};

    fault_at = step;
    OWN(task) struct task *task = task_spawn("exchange", exchange_in_vain, 0, NULL);
    testing_need(test, task && task_join(MOVE(task), NULL) == JOIN_FAILED && fault_at == 0);
    testing_need(test, same(arena_cell_find(NAMESPACE_ROOT, "left"), cells[0]));
    testing_need(test, same(arena_cell_find(NAMESPACE_ROOT, "right"), cells[1]));
    testing_need(test, arena_cell(cells[0])->state == CELL_LIVE && arena_cell(cells[1])->state == CELL_LIVE);
    check_goes_on(test);
    testing_need(test, all_reaped());
    if (counted)
        testing_same(test, "a fault amid the commit", &before);
}

static void faults(const struct testing *test)
{
    testing_need(test, edge_bind(&swap_step_hook, on_step) == ERR_OK);
    testing_need(test, exchange(both, one, 0) == ERR_OK && all_reaped() && exchange(left, both, 0) == ERR_OK);
    testing_need(test, all_reaped() && exchange(both, one, 0) == ERR_OK);
    unsigned all = steps;
    testing_need(test, all > 10 && all_reaped() && exchange(left, both, 0) == ERR_OK && all_reaped());
    for (int i = 0; i < 2; i++) /* recovery reloads this cell once, which takes another place */
        fault_once(test, 1, false);
    for (unsigned step = 1; step <= all; step++)
        fault_once(test, step, true);
    log_info("a fault at each of %u steps", all);
    testing_need(test, edge_bind(&swap_step_hook, NULL) == ERR_OK);
    merge_and_split(test);
}

/* Swaps cells of the nano_core, which undoing the swap itself needs. Of the many steps that only rewrite a record a few
 * are tried; the switchover is the last ones. False: the swap took effect, as it had fewer steps this time: those of
 * the switchover depend on how many words on stacks have to be redirected. */
static bool core_fault(const struct testing *test, unsigned step, bool counted)
{
    const struct testing_records before = testing_records();
    struct cell_ref loader = arena_cell_find(NAMESPACE_ROOT, "loader"), page = arena_cell_find(NAMESPACE_ROOT, "page");
    uint64_t faults = arena_header()->counter[COUNTER_faults], found;

    fault_at = step;
    OWN(task) struct task *task = task_spawn("core", renew_in_vain, 0, NULL);
    testing_need(test, task);
    enum join join = task_join(MOVE(task), NULL);
    if (join == JOIN_ENDED && steps < step) {
        fault_at = 0;
        testing_need(test, all_reaped());
        return false;
    }
    testing_need(test, join == JOIN_FAILED && fault_at == 0);
    testing_need(test, arena_header()->counter[COUNTER_faults] == faults + 1);
    testing_need(test,
                 same(arena_cell_find(NAMESPACE_ROOT, "loader"), loader) && arena_cell(loader)->state == CELL_LIVE);
    testing_need(test, same(arena_cell_find(NAMESPACE_ROOT, "page"), page) && arena_cell(page)->state == CELL_LIVE);
    testing_need(test, lifecycle_symbol("loader_load", &found) == ERR_OK && found == (uint64_t)loader_load);
    testing_need(test, same(arena_cell_at((uint64_t)loader_load), loader));
    check_goes_on(test);
    testing_need(test, all_reaped());
    if (counted)
        testing_same(test, "a fault amid the swap of the core", &before);
    return true;
}

static void core_faults(const struct testing *test)
{
    testing_need(test, edge_bind(&swap_step_hook, on_step) == ERR_OK);
    for (int i = 0; i < 2; i++)
        testing_need(test, exchange(core, core, 0) == ERR_OK && all_reaped());
    unsigned all = steps, missed = 0;
    testing_need(test, all > 40);
    testing_need(test, core_fault(test, 1, false));
    for (unsigned step = 2; step + 14 < all; step += (all - 14) / 3)
        testing_need(test, core_fault(test, step, true));
    for (unsigned step = all - 14; step <= all; step++)
        missed += !core_fault(test, step, true);
    testing_need(test, missed <= 2);
    log_info("a fault at some of %u steps", all);
    testing_need(test, edge_bind(&swap_step_hook, NULL) == ERR_OK);
    testing_need(test, exchange(core, core, 0) == ERR_OK && all_reaped());
    merge_and_split(test);
}

/* ---- the log ---- */

static void logged(const struct testing *test)
{
    uint64_t swaps = arena_header()->swap_seq, changes = arena_header()->change_seq;

    testing_need(test, exchange(both, one, 0) == ERR_OK && exchange(right, none, 0) == ERR_INVALID);
    testing_need(test, exchange(left, both, SWAP_DRY_RUN) == ERR_OK && exchange(left, right, 0) == ERR_MISSING_SYMBOL);
    testing_need(test, arena_header()->swap_seq == swaps + 2);
    const struct arena_swap *swap = arena_record(ARENA_SWAPS, arena_ring_index(swaps + 1, ARENA_SWAPS_MAX));
    testing_need(test, swap->seq == swaps + 1 && swap->done.error == ERR_OK && swap->done.phases >= 6);
    testing_need(test, swap->changes == 2 && swap->first_change == changes + 1);
    const struct arena_change *change = arena_record(ARENA_CHANGES, arena_ring_index(changes + 1, ARENA_CHANGES_MAX));
    testing_need(test, change->swap == swap->seq && string_equal(change->cell, "left"));
    testing_need(test, change->old_version == 1 && change->new_version == 2);
    testing_need(test, change->old_object && change->new_object && change->old_object != change->new_object);
    testing_need(test,
                 change[1].new_version == 0 && change[1].new_object == 0 && string_equal(change[1].cell, "right"));
    testing_need(test, all_reaped() && exchange(left, both, 0) == ERR_OK && all_reaped());
}

static int test_exchange_main(int argc, char **argv)
{
    struct testing test = testing_begin("test_exchange");

    (void)argc;
    (void)argv;
    merge_and_split(&test);
    testing_need(&test, exchange(core, core, 0) == ERR_OK && all_reaped()); /* from objects of their own from now on */
    test = testing_begin("test_exchange");
    merge_and_split(&test);
    testing_ok(&test, "two cells become one, and one two, and all goes on");
    called_back(&test);
    testing_ok(&test, "a callback follows, and one that would be left dangling is refused by name");
    refused(&test);
    testing_ok(&test, "what does not fit is refused and leaves no trace");
    faults(&test);
    testing_ok(&test, "a fault at any step of the commit leaves the old cells as they were");
    core_faults(&test);
    testing_ok(&test, "and of a swap of the loader and of the page cell, within the switchover too");
    logged(&test);
    testing_ok(&test, "swaps and what they changed are in the log");
    testing_end(&test);
}
MAIN(test_exchange_main);
