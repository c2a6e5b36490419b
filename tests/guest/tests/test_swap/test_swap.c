/* Swapping: under traffic, back and forth, with no message and no frame lost; data and bound functions carried over;
 * frames in the old version end there; what must be refused is refused and leaves no trace; every loadable cell of the
 * core can be replaced by a fresh copy of itself. */
#include "cells/evolve/reap/reap.h"
#include "cells/evolve/swap/swap.h"
#include "cells/core/arena/arena.h"
#include "cells/channel/channel/channel.h"
#include "cells/core/cpu/cpu.h"
#include "cells/memory/heap/heap.h"
#include "cells/core/lifecycle/lifecycle.h"
#include "cells/core/loader/loader.h"
#include "cells/core/page/page.h"
#include "cells/host/log/log.h"
#include "cells/task/scheduler/scheduler.h"
#include "cells/task/task/task.h"
#include "cells/lib/string/string.h"
#include "tests/guest/fixtures/fragile/fragile.h"
#include "tests/guest/fixtures/testing/retype.h"
#include "tests/guest/fixtures/testing/testing.h"
#include "tests/guest/fixtures/testing/traffic.h"

CELL("test_swap", KERNEL, 1);

#define SWAPS   50
#define WAIT_NS 5000000

#define OBJECT(name) extern const uint8_t object_##name[], object_##name##_end[]
OBJECT(channel);
OBJECT(channel_v2);
OBJECT(fragile);
OBJECT(fragile_v2);
OBJECT(fragile_v3);
OBJECT(fragile_v4);
OBJECT(fragile_v5);
OBJECT(fragile_v6);

static struct report report;

static enum err swap_bytes(const char *name, const void *data, size_t bytes, unsigned flags)
{
    struct object_ref object;
    enum err e = lifecycle_keep_object(data, bytes, &object, &report);

    return e ? e : swap_cell(NAMESPACE_ROOT, name, object, flags, &report);
}

#define SWAP(cell, object, flags)                                                                                      \
    swap_bytes(cell, object_##object, (size_t)(object_##object##_end - object_##object), flags)

static size_t old_cells(void)
{
    size_t n = 0;

    for_each_cell (i)
        n += arena_cell(i)->state == CELL_OLD;
    return n;
}

/* The teardown task frees old cells in its own time. */
static bool all_reaped(void)
{
    return testing_await(!old_cells());
}

/* ---- under traffic ---- */

static void swap_under_traffic(const struct testing *test, unsigned swaps)
{
    static struct traffic traffic;
    struct channel_totals before, after;

    channel_totals(&before);
    traffic_begin(test, &traffic);
    for (unsigned i = 0; i < swaps; i++) {
        enum err e = i % 2 == 0 ? SWAP("channel", channel_v2, 0) : SWAP("channel", channel, 0);
        if (e)
            log_warn("%s: %s", err_text(e), report.text);
        testing_need(test, e == ERR_OK && report.result == arena_cell_find(NAMESPACE_ROOT, "channel").index);
        testing_need(test, arena_cell((struct cell_ref){report.result})->version == (i % 2 == 0 ? 2 : 1));
        traffic_await(test, &traffic, 20);
    }
    traffic_end(test, &traffic);
    testing_need(test, traffic.sent > swaps);
    channel_totals(&after);
    uint64_t counted = after.messages - before.messages;
    testing_need(test, counted == traffic.sent); /* no call was cut short when its version was freed */
    testing_need(test, all_reaped());
}

/* ---- data, bound functions, frames ---- */

static uint64_t twice(uint64_t n)
{
    return 2 * n;
}

static void carried(const struct testing *test)
{
    uint64_t calls = fragile_calls(), total = fragile_add(10);

    testing_need(test, fragile_bind(twice) == ERR_OK);
    testing_need(test, fragile_add(1) == total + 2);
    testing_need(test, swap_reload(NAMESPACE_ROOT, "fragile", 0, &report) == ERR_OK && report.transferred_bytes > 0);
    testing_need(test, fragile_add(1) == total + 4 && fragile_calls() == calls + 3);
    testing_need(test, string_equal(fragile_word(2), "three"));
    testing_need(test, SWAP("fragile", fragile_v2, 0) == ERR_OK);
    testing_need(test, fragile_add(1) == total + 6 && fragile_calls() == calls + 4);
    testing_need(test, string_equal(fragile_word(0), "one"));
    testing_need(test, swap_reload(NAMESPACE_ROOT, "fragile", SWAP_FRESH_DATA, &report) == ERR_OK);
    testing_need(test, fragile_add(1) == 1 && fragile_calls() == 1);
    testing_need(test, all_reaped());
}

/* Each is a datum of its own of eight bytes. */
static const char *volatile kept_word;
static uint64_t (*volatile chosen)(uint64_t n) = fragile_add;

static void pointers_follow(const struct testing *test)
{
    kept_word = fragile_word(2);
    chosen = twice;
    testing_need(test, swap_reload(NAMESPACE_ROOT, "fragile", 0, &report) == ERR_OK && all_reaped());
    testing_need(test, arena_cell_at((uint64_t)kept_word).index == report.result && string_equal(kept_word, "three"));
    testing_need(test, chosen == twice);
    kept_word = NULL;
    chosen = fragile_add;
    testing_need(test, swap_reload(NAMESPACE_ROOT, "fragile", 0, &report) == ERR_OK && all_reaped());
    testing_need(test, arena_cell_at((uint64_t)chosen).index == report.result);
}

static bool inside; /* a task is in the function below */

static void wait_for(uint64_t flag)
{
    __atomic_store_n(&inside, true, __ATOMIC_RELEASE);
    while (!__atomic_load_n((uint32_t *)flag, __ATOMIC_ACQUIRE))
        scheduler_sleep_ns(WAIT_NS);
}

static void call_fragile(uint64_t flag)
{
    fragile_call(wait_for, flag);
}

static void swap_from_inside(uint64_t argument)
{
    *(enum err *)argument = SWAP("fragile", fragile_v2, 0);
}

/* A task cannot wait until it has left itself. */
static void own_frames_stay(const struct testing *test)
{
    enum err e = ERR_OK;

    fragile_call(swap_from_inside, (uint64_t)&e);
    testing_need(test, e == ERR_NOT_SWAPPABLE && all_reaped());
    testing_need(test, string_starts(report.text, "types change, and task test_swap is in fragile_call"));
}

static void frames_stay(const struct testing *test)
{
    OWN(heap) uint32_t *flag = heap_alloc(sizeof *flag);

    testing_need(test, SWAP("fragile", fragile, 0) == ERR_OK);
    own_frames_stay(test);
    uint64_t calls = fragile_calls();
    inside = false;
    OWN(task) struct task *task = task_spawn("inside", call_fragile, (uint64_t)flag, NULL);
    testing_need(test, flag && task);
    testing_need(test, testing_await(inside));
    testing_need(test, swap_reload(NAMESPACE_ROOT, "fragile", 0, &report) == ERR_OK && report.frames >= 1);
    testing_need(test, all_reaped()); /* the same code: its frame was resumed in the new version */
    testing_need(test, SWAP("fragile", fragile_v2, 0) == ERR_TIMEOUT); /* other data: not with a frame on the old one */
    testing_need(test, string_starts(report.text, "types change, and task inside is in fragile_call"));
    testing_need(test, SWAP("fragile", fragile_v6, 0) == ERR_OK && report.frames >= 1);
    scheduler_sleep_ns(40 * WAIT_NS);
    testing_need(test, old_cells() == 1); /* other code: its frame ends in the old version */
    __atomic_store_n(flag, 1, __ATOMIC_RELEASE);
    testing_need(test, task_join(MOVE(task), NULL) == JOIN_ENDED);
    testing_need(test, all_reaped());
    testing_need(test, fragile_calls() == calls + 1);
    testing_need(test, SWAP("fragile", fragile, 0) == ERR_OK && all_reaped());
}

/* ---- refusals ---- */

struct counts {
    struct testing_records records;
    uint64_t swaps;
};

static struct counts count(void)
{
    return (struct counts){.records = testing_records(), .swaps = arena_header()->counter[COUNTER_swaps]};
}

static void expect(const struct testing *test, const char *what, enum err got, enum err want,
                   const struct counts *before)
{
    struct counts now = count();

    testing_same(test, what, &before->records);
    if (got != want || now.swaps != before->swaps) {
        log_warn("%s: %s: %s; %lu swaps, before %lu", what, err_text(got), report.text, now.swaps, before->swaps);
        testing_fail(test, what, "test_swap.c", __LINE__);
    }
}

static void refused(const struct testing *test)
{
    size_t bytes = (size_t)(object_channel_v2_end - object_channel_v2);
    OWN(heap) uint8_t *copy = heap_alloc(bytes);

    testing_need(test, copy && SWAP("fragile", fragile, 0) == ERR_OK && all_reaped());
    {
        GUARD(loader) locked = loader_hold(); /* the teardown task may still use its last object */
    }
    const struct counts before = count();
    memcpy(copy, object_channel_v2, bytes);
    expect(test, "empty", swap_bytes("channel", copy, 0, 0), ERR_TRUNCATED, &before);
    for (size_t cut = 1; cut < bytes; cut += bytes / 23)
        if (swap_bytes("channel", copy, cut, 0) == ERR_OK)
            testing_fail(test, "truncated", "test_swap.c", __LINE__);
    expect(test, "truncated", ERR_OK, ERR_OK, &before);
    expect(test, "text",
           swap_bytes("channel", "This is no object file, but it is long enough to look like one.", 64, 0), ERR_NOT_ELF,
           &before);
    copy[16] = 2;
    expect(test, "executable", swap_bytes("channel", copy, bytes, 0), ERR_NOT_OBJECT, &before);
    copy[16] = 1;
    copy[18] = 183;
    expect(test, "other architecture", swap_bytes("channel", copy, bytes, 0), ERR_WRONG_MACHINE, &before);
    expect(test, "lacks a symbol", SWAP("fragile", fragile_v3, 0), ERR_MISSING_SYMBOL, &before);
    expect(test, "other type", SWAP("fragile", fragile_v4, 0), ERR_WRONG_TYPE, &before);
    expect(test, "other data", SWAP("fragile", fragile_v5, 0), ERR_WRONG_TYPE, &before);
    expect(test, "of another cell", SWAP("fragile", channel, 0), ERR_INVALID, &before);
    expect(test, "no such cell", swap_reload(NAMESPACE_ROOT, "nothing", 0, &report), ERR_NOT_FOUND, &before);
    expect(test, "dry run", SWAP("channel", channel_v2, SWAP_DRY_RUN), ERR_OK, &before);
    testing_need(test, report.relocations > 0 && report.phases >= 2);
}

/* ---- a swap of what carries out swaps ---- */

static void refused_in_use(const struct testing *test)
{
    static const char *const cells[] = {"plan", "quiescence", "swap"};

    for (size_t i = 0; i < array_size(cells); i++) {
        struct cell_ref cell = arena_cell_find(NAMESPACE_ROOT, cells[i]);
        const struct arena_object *object = arena_object(arena_cell(cell)->object);
        OWN(heap) uint8_t *copy = heap_alloc(object->bytes);

        testing_need(test, copy);
        const struct counts before = count();
        memcpy(copy, page_direct(object->phys), object->bytes);
        testing_need(test, retype_arguments(cell, copy, object->bytes));
        expect(test, cells[i], swap_bytes(cells[i], copy, object->bytes, 0), ERR_NOT_SWAPPABLE, &before);
    }
}

static uint32_t came(const char *name)
{
    return arena_cell(arena_cell_find(NAMESPACE_ROOT, name))->came;
}

/* Each swap has a number of its own, which its cells have in common: the one after that of the swap cell too. */
static void numbered(const struct testing *test)
{
    testing_need(test, swap_reload(NAMESPACE_ROOT, "swap", 0, &report) == ERR_OK);
    testing_need(test, swap_reload(NAMESPACE_ROOT, "fragile", 0, &report) == ERR_OK);
    testing_need(test, came("swap") && came("fragile") > came("swap") && all_reaped());
}

/* ---- a fault during a swap ---- */

static void swap_in_vain(uint64_t)
{
    (void)SWAP("fragile", fragile_v2, 0);
}

static void unwound(const struct testing *test)
{
    uint64_t total = fragile_add(FRAGILE_TOO_MUCH);

    for (int i = 0; i < 2; i++) { /* the second time the heap does not grow any more */
        const struct counts before = count();
        OWN(task) struct task *task = task_spawn("swapper", swap_in_vain, 0, NULL);
        testing_need(test, task && task_join(MOVE(task), NULL) == JOIN_FAILED);
        if (i)
            expect(test, "a transfer that faults", ERR_OK, ERR_OK, &before);
    }
    testing_need(test, fragile_add(0) == total);
    testing_need(test, swap_reload(NAMESPACE_ROOT, "fragile", SWAP_FRESH_DATA, &report) == ERR_OK && all_reaped());
}

/* ---- the core ---- */

static void nothing(uint64_t argument)
{
    *(uint64_t *)argument += 1;
}

static void fail(uint64_t argument)
{
    *(volatile uint64_t *)argument = 1;
}

/* Uses each of the cells that were replaced. */
static bool all_work(void)
{
    OWN(heap) uint64_t *n = heap_alloc(sizeof *n);
    uint64_t ticks = arena_header()->counter[COUNTER_ticks];

    for (int i = 0; i < 4; i++) {
        OWN(task) struct task *task = task_spawn("nothing", nothing, (uint64_t)n, NULL);
        if (!task || task_join(MOVE(task), NULL) != JOIN_ENDED)
            return false;
    }
    scheduler_sleep_ns(WAIT_NS);
    OWN(task) struct task *failing = task_spawn("failing", fail, 8, NULL);
    return failing && task_join(MOVE(failing), NULL) == JOIN_FAILED && *n == 4 &&
           arena_header()->counter[COUNTER_ticks] > ticks;
}

static void core_replaced(const struct testing *test)
{
    char name[32];

    for_each_cell (i) {
        const struct arena_cell *cell = arena_cell(i);
        if (cell->state != CELL_LIVE || arena_in_image(cell))
            continue;
        string_copy(name, arena_string(cell->name), sizeof name);
        enum err e = swap_reload(NAMESPACE_ROOT, name, 0, &report);
        if (e != ERR_OK || !all_work()) {
            log_warn("reload of %s: %s: %s", name, err_text(e), report.text);
            testing_fail(test, "reload", "test_swap.c", __LINE__);
        }
        (void)reap_replaced();
    }
    testing_need(test, all_reaped());
}

static int test_swap_main(int argc, char **argv)
{
    struct testing test = testing_begin("test_swap");

    (void)argc;
    (void)argv;
    swap_under_traffic(&test, 2);
    core_replaced(&test); /* page tables and handles for as many cells at once stay */
    testing_need(&test,
                 SWAP("fragile", fragile, 0) == ERR_OK && all_reaped()); /* and its object, in place of the archive's */
    test = testing_begin("test_swap");
    swap_under_traffic(&test, SWAPS);
    testing_ok(&test, "50 swaps under traffic: no message lost");
    carried(&test);
    testing_ok(&test, "data and bound functions are carried over");
    pointers_follow(&test);
    testing_ok(&test, "pointers in static data follow, unless they point elsewhere by now");
    frames_stay(&test);
    testing_ok(&test, "frames move with unchanged code, and end in changed code");
    refused(&test);
    testing_ok(&test, "what does not fit is refused and leaves no trace");
    refused_in_use(&test);
    testing_ok(&test, "types that the running swap has in use stay");
    unwound(&test);
    testing_ok(&test, "a fault in a transfer function takes the swap back");
    numbered(&test);
    testing_ok(&test, "each swap has a number of its own");
    core_replaced(&test);
    testing_ok(&test, "every loadable cell is replaced, and all goes on");
    testing_end(&test);
}
MAIN(test_swap_main);
