/* When ordinary use has taken all there is of a table of the arena, or all frames, a damaged cell is still reloaded,
 * from the reserve; and when that is gone too, it is mended where it is. */
#include "cells/core/arena/arena.h"
#include "cells/core/cpu/cpu.h"
#include "cells/core/frame/frame.h"
#include "cells/core/loader/loader.h"
#include "cells/core/page/page.h"
#include "cells/evolve/reap/reap.h"
#include "cells/evolve/swap/swap.h"
#include "cells/host/log/log.h"
#include "cells/host/request/request.h"
#include "cells/lib/format/format.h"
#include "cells/lib/string/string.h"
#include "cells/recover/fault/fault.h"
#include "cells/recover/mend/mend.h"
#include "cells/task/scheduler/scheduler.h"
#include "cells/task/task/task.h"
#include "tests/guest/fixtures/fragile/fragile.h"
#include "tests/guest/fixtures/testing/testing.h"

CELL("test_reserve", KERNEL, 1);

#define NAME_BYTES  1500
#define RUN_BYTES   (64 * FRAME_BYTES)
#define CARRIED_MAX 4 /* edges that a swap needs beside those of the new cell: of pointers that are carried */

static const struct testing *test;
static bool go; /* atomic: the waiting task may use the damaged cell */
static unsigned runs;

/* ---- taking all there is ---- */

/* Records that a test has taken, chained through their second word: they are not sealed, so nobody looks at them. */
struct taken {
    enum arena_table table;
    uint32_t first;
};

/* A new record; with a name of so many bytes unless that is 0. */
static uint32_t new_record(enum arena_table table, size_t bytes) NEEDS(arena_writer)
{
    static char name[NAME_BYTES];
    static unsigned names;

    if (!bytes)
        return arena_new(table);
    memset(name, 'n', bytes);
    name[bytes] = 0;
    name[format_print(name, bytes, "%u_", ++names)] = 'n';
    return arena_new_named(table, name);
}

static void take_records(struct taken *taken, bool named)
{
    GUARD(arena) held = arena_change();

    for (size_t bytes = named ? NAME_BYTES - 1 : 0;;) {
        uint32_t i = new_record(taken->table, bytes);
        if (!i && bytes < 16)
            return;
        if (!i) {
            bytes /= 2;
            continue;
        }
        ((uint32_t *)arena_record(taken->table, i))[1] = taken->first;
        taken->first = i;
    }
}

/* At most so many. */
static void give_some(struct taken *taken, unsigned records)
{
    GUARD(arena) held = arena_change();

    while (taken->first && records--) {
        uint32_t i = taken->first;
        taken->first = ((uint32_t *)arena_record(taken->table, i))[1];
        arena_record_free(taken->table, i);
    }
}

static void give_records(struct taken *taken)
{
    give_some(taken, UINT32_MAX);
}

/* Mappings, chained through their first word. */
struct mapped {
    struct mapped_pages *first;
};

static void take_frames(struct mapped *mapped)
{
    for (size_t bytes = RUN_BYTES; bytes >= FRAME_BYTES;) {
        struct mapped_pages *mp = page_map(bytes, PAGE_WRITE);
        if (mp) {
            *(struct mapped_pages **)page_start(mp) = mapped->first;
            mapped->first = mp;
        } else {
            bytes /= 2;
        }
    }
}

static void give_frames(struct mapped *mapped)
{
    while (mapped->first) {
        struct mapped_pages *mp = mapped->first;
        mapped->first = *(struct mapped_pages **)page_start(mp);
        mapped_pages_put(mp);
    }
}

/* What is left for recovery too, as if it had used it. */
static void take_reserve(struct taken *taken, bool named, struct mapped *mapped)
{
    GUARD(loader) locked = loader_hold();

    __atomic_store_n(&arena_reserve_user, cpu_task(), __ATOMIC_RELAXED);
    if (taken)
        take_records(taken, named);
    if (mapped)
        take_frames(mapped);
    __atomic_store_n(&arena_reserve_user, NULL, __ATOMIC_RELAXED);
}

/* ---- damage ---- */

static uint64_t counter(enum arena_counter counter)
{
    return __atomic_load_n(&arena_header()->counter[counter], __ATOMIC_RELAXED);
}

static void use_fragile(uint64_t argument)
{
    while (!__atomic_load_n(&go, __ATOMIC_ACQUIRE))
        scheduler_yield();
    runs++;
    (void)fragile_add(argument);
}

static struct task *begin_task(void)
{
    go = false;
    runs = 0;
    return task_spawn("phoenix", use_fragile, 5, &(struct task_options){.restartable = true});
}

static void damage_fragile(void)
{
    for_each_section_of (i, arena_cell_find(NAMESPACE_ROOT, "fragile")) {
        struct arena_section *s = arena_section(i);
        if (string_equal(arena_string(s->name), ".text.fragile_add"))
            memset(page_direct(s->phys), 0x06, s->bytes); /* no instruction in 64-bit mode */
    }
}

/* The task uses the damaged cell, is restarted, and finds it intact: by a reload if `reloads`, else in place. */
static void expect_recovery(TAKES struct task *task, bool reloads)
{
    uint64_t reloads_before = counter(COUNTER_reloads), mends_before = counter(COUNTER_mends);
    uint64_t faults = arena_header()->fault_seq, total = fragile_add(0);
    struct cell_ref cell = arena_cell_find(NAMESPACE_ROOT, "fragile");

    damage_fragile();
    __atomic_store_n(&go, true, __ATOMIC_RELEASE);
    testing_need(test, task_join(task, NULL) == JOIN_ENDED);
    testing_need(test, runs == 2 && fragile_add(0) == total + 5);
    testing_need(test, arena_header()->fault_seq == faults + 1);
    testing_need(test, counter(COUNTER_reloads) == reloads_before + reloads);
    testing_need(test, counter(COUNTER_mends) == mends_before + !reloads);
    testing_need(test, same(arena_cell_find(NAMESPACE_ROOT, "fragile"), cell) == !reloads);
    const struct arena_fault *fault = fault_record(faults + 1);
    testing_need(test, fault && fault->action == (reloads ? FAULT_ACTION_RELOAD : FAULT_ACTION_MEND));
    testing_need(test, fault->outcome == FAULT_OUTCOME_RECOVERED);
}

static void wait_until_reaped(void)
{
    testing_need(test, testing_await(!reap_replaced()));
}

/* ---- what ordinary users are told ---- */

static bool has_text(const char *text, const char *part)
{
    for (; *text; text++)
        if (string_starts(text, part))
            return true;
    return false;
}

/* A swap needs records; where names are what is full, only a cell that is not loaded yet needs those. */
static void expect_refusal(const char *what)
{
    static struct report report;
    bool names = string_equal(what, "names");
    struct testing_records before = testing_records();

    if (names)
        testing_need(test, loader_load("figure_late", NULL, &report) == LOAD_FAILED);
    else
        testing_need(test, swap_reload(NAMESPACE_ROOT, "fragile", 0, &report) != ERR_OK);
    testing_need(test, report.error == ERR_FULL && has_text(report.text, what) && has_text(report.text, "recovery"));
    testing_same(test, "a refused load or swap", &before);
}

/* A request for which there is no room has what was replaced before freed; nobody else does, under the loader lock. */
static void expect_room(enum arena_table table)
{
    static const struct arena_request reload = {.kind = REQUEST_RELOAD, .target = "fragile"};
    static struct report report;
    struct taken ordinary = {.table = table};
    GUARD(loader) locked = loader_hold();

    testing_need(test, swap_reload(NAMESPACE_ROOT, "fragile", 0, &report) == ERR_OK);
    take_records(&ordinary, false);
    if (table == ARENA_EDGES)
        give_some(&ordinary, CARRIED_MAX);
    request_execute(&reload, NULL, &report);
    give_records(&ordinary);
    testing_need(test, report.error == ERR_OK);
    testing_need(test, testing_await(!reap_replaced()));
}

static void requests_find_room(void)
{
    expect_room(ARENA_CELLS);
    expect_room(ARENA_SECTIONS);
    expect_room(ARENA_SYMBOLS);
    expect_room(ARENA_EDGES);
}

/* ---- one table after the other ---- */

static void table_is_full(enum arena_table table, const char *what, bool named)
{
    struct taken ordinary = {.table = table}, reserve = {.table = table};
    uint64_t free_strings = counter(COUNTER_strings);
    struct task *task = begin_task();

    testing_need(test, task);
    take_records(&ordinary, named);
    testing_need(test, ordinary.first);
    expect_refusal(what);
    expect_recovery(task, true);
    wait_until_reaped();
    testing_need(test, (task = begin_task()));
    expect_recovery(task, true); /* what the first reload has taken from the reserve is there again */
    wait_until_reaped();
    testing_need(test, (task = begin_task()));
    take_reserve(&reserve, named, NULL);
    testing_need(test, reserve.first);
    expect_recovery(task, named); /* no cell's reload needs a name that it has not already */
    wait_until_reaped();
    give_records(&reserve);
    give_records(&ordinary);
    testing_need(test, counter(COUNTER_strings) == free_strings);
}

static void memory_is_full(void)
{
    struct mapped ordinary = {}, reserve = {};
    struct task *task = begin_task();
    static struct report report;

    testing_need(test, task);
    take_frames(&ordinary);
    testing_need(test, frame_free_count() >= frame_total_count() / FRAME_RESERVE_PART);
    testing_need(test, swap_reload(NAMESPACE_ROOT, "fragile", 0, &report) == ERR_NOMEM);
    expect_recovery(task, true);
    give_frames(&ordinary);
    wait_until_reaped();
    testing_need(test, (task = begin_task()));
    take_frames(&ordinary);
    take_reserve(NULL, false, &reserve);
    testing_need(test, frame_free_count() < 8);
    expect_recovery(task, false);
    give_frames(&reserve);
    give_frames(&ordinary);
    wait_until_reaped();
}

/* ---- mending a large section ---- */

/* Each pointer is a relocation, and none is aligned: some lie across two pieces of what is composed at once. */
static const struct {
    char before;
    const char *text;
} __attribute__((packed)) many[2000] = {[0 ... 1999] = {'.', "mended"}};

static void large_section(void)
{
    struct section_ref section = arena_section_at((uint64_t)many);
    struct arena_section *s = arena_section(section);
    uint8_t *bytes = page_direct(s->phys);

    testing_need(test, s->bytes >= sizeof many && s->outgoing >= array_size(many));
    testing_need(test, mend_cell(s->cell) == 0);
    for (uint32_t at = 8180; at < s->bytes; at += 8192) {
        for (uint32_t i = at; i < at + 24 && i < s->bytes; i++)
            bytes[i] ^= 0xff;
        testing_need(test, s->hash != arena_check(bytes, s->bytes));
        testing_need(test, mend_cell(s->cell) == 1);
        testing_need(test, s->hash == arena_check(bytes, s->bytes));
    }
    for (size_t i = 0; i < array_size(many); i++)
        testing_need(test, string_equal(many[i].text, "mended"));
}

static int test_reserve_main(int, char **)
{
    struct testing begun = testing_begin("test_reserve");
    test = &begun;

    memory_is_full(); /* makes page tables and handles, which are kept */
    table_is_full(ARENA_CELLS, "cells", false);
    requests_find_room();
    begun = testing_begin("test_reserve");
    large_section();
    testing_ok(test, "a damaged section is mended in place, whatever its size");
    requests_find_room();
    testing_ok(test, "a request for which a table has no room has replaced cells freed, and is tried again");
    table_is_full(ARENA_CELLS, "cells", false);
    table_is_full(ARENA_SECTIONS, "sections", false);
    table_is_full(ARENA_SYMBOLS, "symbols", false);
    table_is_full(ARENA_EDGES, "edges", false);
    testing_ok(test, "with a full table a damaged cell is reloaded from the reserve, and without that mended in place");
    table_is_full(ARENA_SYMBOLS, "names", true);
    testing_ok(test, "with no room for names a damaged cell is reloaded");
    memory_is_full();
    testing_ok(test, "without memory likewise");
    testing_end(test);
}
MAIN(test_reserve_main);
