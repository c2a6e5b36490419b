/* Namespaces (thesis §8.3, figure 8.1): two that differ in cell C, tasks in both at once, each of which reaches its own
 * C and the same A and B; singletons stay single; what is refused leaves no trace; a branch of a branch; swaps and
 * reloads keep to their namespace; and a removed one gives everything back. */
#include "cells/evolve/namespace/namespace.h"
#include "cells/task/application/application.h"
#include "cells/core/arena/arena.h"
#include "cells/core/cpu/cpu.h"
#include "cells/evolve/history/history.h"
#include "cells/core/lifecycle/lifecycle.h"
#include "cells/core/loader/loader.h"
#include "cells/host/log/log.h"
#include "cells/core/page/page.h"
#include "cells/task/scheduler/scheduler.h"
#include "cells/evolve/swap/swap.h"
#include "cells/task/task/task.h"
#include "cells/lib/format/format.h"
#include "cells/lib/string/string.h"
#include "tests/guest/fixtures/figure_once/figure_once.h"
#include "tests/guest/fixtures/testing/testing.h"
#include "tests/guest/tests/test_namespaces/test_namespaces.h"

CELL("test_namespaces", KERNEL, 1);

#define TURNS 200000

struct report report;

/* ---- asking ---- */

enum err change_bytes(struct namespace_ref namespace_, const void *data, size_t bytes, unsigned flags)
{
    GUARD(loader) locked = loader_hold();
    struct object_ref object;
    enum err e = lifecycle_keep_object(data, bytes, &object, &report);

    if (!e)
        e = namespace_change(namespace_, &object, 1, flags, &report);
    if (!e && !(flags & NAMESPACE_DRY_RUN))
        return ERR_OK;
    loader_drop_object(object);
    return e;
}

struct namespace_ref branch(const struct testing *test, struct namespace_ref parent, const char *name)
{
    struct namespace_ref child;
    enum err e = namespace_branch(parent, name, NULL, &child, &report);

    if (e)
        log_warn("branch %s: %s: %s", name, err_text(e), report.text);
    testing_need(test, e == ERR_OK);
    return child;
}

/* Inverted, as in a figure_note: an address in memory would hold the cell. 0: there is none. */
uint64_t place_of(struct namespace_ref namespace_, const char *symbol)
{
    uint64_t at = 0;

    return lifecycle_symbol_in(namespace_, symbol, &at) ? 0 : ~at;
}

bool is_shared(struct namespace_ref a, struct namespace_ref b, const char *symbol)
{
    return place_of(a, symbol) && place_of(a, symbol) == place_of(b, symbol);
}

struct task *start(const struct testing *test, struct namespace_ref namespace_, const char *slot, const char *turns)
{
    const char *argv[] = {"figure_app", slot, turns};
    struct task *task;
    enum err e = application_run_in(namespace_, "figure_app", 3, argv, &task, &report);

    if (e)
        log_warn("figure_app: %s: %s", err_text(e), report.text);
    testing_need(test, e == ERR_OK);
    return task;
}

int32_t outcome(const struct testing *test, struct task *taken)
{
    int32_t code = -2;

    testing_need(test, task_join(taken, &code) == JOIN_ENDED);
    return code;
}

int32_t run(const struct testing *test, struct namespace_ref namespace_)
{
    figure_once_expect(1);
    return outcome(test, start(test, namespace_, "0", "50"));
}

/* ---- counting ---- */

static size_t old_cells(void)
{
    size_t old = 0;

    for_each_cell (i)
        old += arena_cell(i)->state == CELL_OLD;
    return old;
}

/* The teardown task frees in its own time. */
static bool all_reaped(void)
{
    scheduler_sleep_ns(WAIT_NS);
    return testing_await(!old_cells());
}

struct use {
    size_t records[ARENA_EDGES + 1];
    uint64_t strings;
};

static struct use count_use(void)
{
    struct use use = {0};

    (void)all_reaped();
    GUARD(loader) locked = loader_hold(); /* so that whoever frees a cell has finished with its object too */
    use.strings = arena_header()->counter[COUNTER_strings];
    for (enum arena_table t = ARENA_NAMESPACES; t <= ARENA_EDGES; t++)
        for (uint32_t i = 1; i < arena_header()->table[t].used; i++)
            use.records[t] += arena_record_sound(t, i) && *(const uint32_t *)arena_record(t, i);
    return use;
}

static bool same_use(const struct use *a, const struct use *b)
{
    return !memcmp(a, b, sizeof *a);
}

static void expect_use(const struct testing *test, const struct use *before)
{
    struct use now = count_use();

    for (enum arena_table t = ARENA_NAMESPACES; t <= ARENA_EDGES; t++)
        if (now.records[t] != before->records[t])
            log_warn("table %u: %zu records, then %zu", t, before->records[t], now.records[t]);
    testing_need(test, same_use(before, &now));
}

void remove(const struct testing *test, struct namespace_ref namespace_)
{
    enum err e;

    /* busy: the teardown task has not yet freed a task that has ended */
    (void)testing_await((e = namespace_remove(namespace_, &report)) != ERR_BUSY);
    if (e)
        log_warn("remove: %s: %s", err_text(e), report.text);
    testing_need(test, e == ERR_OK);
}

/* ---- figure 8.1 ---- */

static void a_branch_shares_all(const struct testing *test)
{
    struct use before = count_use();
    struct namespace_ref child = branch(test, NAMESPACE_ROOT, "child");
    struct use after = count_use();

    testing_need(test, same(namespace_find("child"), child));
    testing_need(test, after.records[ARENA_CELLS] == before.records[ARENA_CELLS]);
    testing_need(test, is_shared(child, NAMESPACE_ROOT, "figure_c") && is_shared(child, NAMESPACE_ROOT, "figure_user"));
    testing_need(test, run(test, child) == 1 && count_use().records[ARENA_CELLS] == before.records[ARENA_CELLS]);
    remove(test, child);
    expect_use(test, &before);
}

static void check_note(const struct testing *test, struct namespace_ref namespace_, unsigned slot)
{
    struct figure_note note = figure_once_noted(slot);

    testing_need(test, note.turns == TURNS && !note.wrong);
    testing_need(test, note.a == place_of(namespace_, "figure_a") && note.b == place_of(namespace_, "figure_b"));
    testing_need(test, note.c == place_of(namespace_, "figure_c") && note.user == place_of(namespace_, "figure_user"));
}

static void both_at_once(const struct testing *test, struct namespace_ref child)
{
    static const char *const slots[FIGURE_SLOTS] = {"0", "1", "2", "3", "4", "5", "6", "7"};
    unsigned count = 2 * cpu_count() < FIGURE_SLOTS ? 2 * cpu_count() : FIGURE_SLOTS;
    struct task *task[FIGURE_SLOTS];

    figure_once_expect(count);
    for (unsigned i = 0; i < count; i++)
        task[i] = start(test, i % 2 ? child : NAMESPACE_ROOT, slots[i], "200000");
    for (unsigned i = 0; i < count; i++)
        testing_need(test, outcome(test, task[i]) == (i % 2 ? 1000 : 1));
    for (unsigned i = 0; i < count; i++)
        check_note(test, i % 2 ? child : NAMESPACE_ROOT, i);
    struct figure_note here = figure_once_noted(0), there = figure_once_noted(1);
    testing_need(test, here.a == there.a && here.b == there.b);
    testing_need(test, here.c != there.c && here.user != there.user && here.each != there.each);
    /* one run before in the child, more in the root */
    testing_need(test, there.of_each > 101 && there.of_each <= 101 + count / 2 && here.of_each > 101 + count / 2);
}

static uint64_t singletons_keep_the_roots(void)
{
    return figure_once_c(0);
}

static void figure(const struct testing *test, struct namespace_ref child)
{
    struct use before = count_use();
    uint64_t user = place_of(NAMESPACE_ROOT, "figure_user"), begun = figure_once_begun();

    testing_need(test, CHANGE(child, figure_c_v2, NAMESPACE_DRY_RUN) == ERR_OK);
    testing_need(test, is_shared(child, NAMESPACE_ROOT, "figure_c") && figure_once_begun() == begun);
    expect_use(test, &before);
    testing_need(test, CHANGE(child, figure_c_v2, 0) == ERR_OK);
    log_info("%s", report.text);
    testing_need(test, !report.relocations && !report.pause_ns && figure_once_begun() == begun + 1);
    testing_need(test, is_shared(child, NAMESPACE_ROOT, "figure_a") && is_shared(child, NAMESPACE_ROOT, "figure_b"));
    testing_need(test, is_shared(child, NAMESPACE_ROOT, "figure_once_c"));
    testing_need(test, !is_shared(child, NAMESPACE_ROOT, "figure_c"));
    testing_need(test, !is_shared(child, NAMESPACE_ROOT, "figure_user"));
    testing_need(test, place_of(NAMESPACE_ROOT, "figure_user") == user);
    testing_need(test, run(test, child) == 1000 && run(test, NAMESPACE_ROOT) == 1);
    both_at_once(test, child);
    testing_need(test, singletons_keep_the_roots() == 1);
}

/* ---- what is refused ---- */

static void expect(const struct testing *test, enum err e, enum err wanted, const char *part, const struct use *before)
{
    const char *text = report.text;

    while (*text && !string_starts(text, part))
        text++;
    if (e != wanted || !*text)
        log_warn("%s: %s", err_text(e), report.text);
    testing_need(test, e == wanted && *text);
    expect_use(test, before);
}

static void refused(const struct testing *test)
{
    struct namespace_ref child = branch(test, NAMESPACE_ROOT, "strict"), other;
    struct use before = count_use();
    uint64_t begun = figure_once_begun(), ended = figure_once_ended();

    expect(test, CHANGE(child, figure_once, 0), ERR_REFUSED, "figure_once is a singleton", &before);
    expect(test, CHANGE(child, figure_c_v3, 0), ERR_UNRESOLVED, "figure_c_more", &before);
    expect(test, CHANGE(child, figure_c_v4, 0), ERR_REFUSED, "figure_c has state", &before);
    expect(test, CHANGE(child, figure_c_v5, 0), ERR_WRONG_TYPE, "figure_c_more", &before);
    figure_once_refuse(true);
    expect(test, CHANGE(child, figure_c_v2, 0), ERR_INIT_FAILED, "figure_each", &before);
    figure_once_refuse(false);
    testing_need(test, figure_once_begun() - begun == figure_once_ended() - ended);
    testing_need(test, is_shared(child, NAMESPACE_ROOT, "figure_user") && run(test, child) == 1);
    testing_need(test, namespace_branch(NAMESPACE_ROOT, "strict", NULL, &other, &report) == ERR_EXISTS);
    testing_need(test, namespace_branch(NAMESPACE_ROOT, "", NULL, &other, &report) == ERR_INVALID);
    testing_need(test, namespace_branch(NAMESPACE_ROOT, "../x", NULL, &other, &report) == ERR_INVALID);
    testing_need(test, namespace_branch(NAMESPACE_ROOT, "a_name_of_thirty_two_characters_", NULL, &other, &report) ==
                           ERR_INVALID);
    testing_need(test, namespace_branch(NO_NAMESPACE, "nobodys", NULL, &other, &report) == ERR_NOT_FOUND);
    testing_need(test, namespace_branch(NAMESPACE_ROOT, "far", &(struct namespace_options){.cpu = cpu_count() + 1},
                                        &other, &report) == ERR_RANGE);
    testing_need(test, namespace_remove(NAMESPACE_ROOT, &report) == ERR_REFUSED);
    expect_use(test, &before);
    remove(test, child);
}

/* ---- changes of what is held already, and under tasks that run ---- */

static void more_changes(const struct testing *test, struct namespace_ref child)
{
    struct use before;
    uint64_t user = place_of(child, "figure_user");

    testing_need(test, CHANGE(child, figure_c_v2, 0) == ERR_EXISTS);
    before = count_use();
    testing_need(test, CHANGE(child, figure_b_v2, 0) == ERR_OK);
    log_info("%s", report.text);
    testing_need(test, report.relocations && place_of(child, "figure_user") == user); /* its app refers to the new B */
    testing_need(test, count_use().records[ARENA_CELLS] == before.records[ARENA_CELLS] + 1);
    testing_need(test, run(test, child) == 1000 && figure_once_noted(0).of_b == 70);
    testing_need(test, run(test, NAMESPACE_ROOT) == 1 && figure_once_noted(0).of_b == 7);
}

static enum err swap_in(struct namespace_ref namespace_, const void *data, size_t bytes)
{
    GUARD(loader) locked = loader_hold();
    struct object_ref object;
    enum err e = lifecycle_keep_object(data, bytes, &object, &report);

    return e ? e : swap_cell(namespace_, "figure_c", object, 0, &report);
}

#define SWAP(namespace_, object) swap_in(namespace_, object_##object, (size_t)(object_##object##_end - object_##object))

static void swaps_keep_to_their_namespace(const struct testing *test, struct namespace_ref child)
{
    uint64_t mine = place_of(child, "figure_c"), roots = place_of(NAMESPACE_ROOT, "figure_c");

    testing_need(test, SWAP(child, figure_c) == ERR_OK);
    testing_need(test, place_of(child, "figure_c") != mine && place_of(NAMESPACE_ROOT, "figure_c") == roots);
    testing_need(test, run(test, child) == 1 && run(test, NAMESPACE_ROOT) == 1);
    testing_need(test, SWAP(NAMESPACE_ROOT, figure_c_v2) == ERR_OK);
    testing_need(test, run(test, child) == 1 && run(test, NAMESPACE_ROOT) == 1000);
    testing_need(test, singletons_keep_the_roots() == 1000);
    testing_need(test, SWAP(NAMESPACE_ROOT, figure_c) == ERR_OK && SWAP(child, figure_c_v2) == ERR_OK);
    testing_need(test, run(test, child) == 1000 && run(test, NAMESPACE_ROOT) == 1);
}

static enum err swap_order_in(struct namespace_ref namespace_, const char *name, const void *data, size_t bytes)
{
    GUARD(loader) locked = loader_hold();
    struct swap_order order = {.namespace_ = namespace_, .olds = 1, .objects = 1};
    enum err e = lifecycle_keep_object(data, bytes, &order.object[0], &report);

    order.old[0] = namespace_cell(namespace_, name);
    if (!e)
        e = namespace_swap(&order, &report);
    if (e)
        loader_drop_object(order.object[0]);
    return e;
}

#define ORDER(namespace_, name, object)                                                                                \
    swap_order_in(namespace_, name, object_##object, (size_t)(object_##object##_end - object_##object))

/* From now on the root's A needs C: the child's application, which refers to A, gets a copy of A that uses the child's
 * C. */
static void children_follow(const struct testing *test, struct namespace_ref child)
{
    testing_need(test, ORDER(NAMESPACE_ROOT, "figure_a", figure_a_v2) == ERR_OK);
    testing_need(test, run(test, NAMESPACE_ROOT) == 1 && figure_once_noted(0).of_a == 1);
    testing_need(test, run(test, child) == 1000 && figure_once_noted(0).of_a == 1000);
    testing_need(test, !is_shared(child, NAMESPACE_ROOT, "figure_a"));
    testing_need(test, ORDER(NAMESPACE_ROOT, "figure_a", figure_a) == ERR_OK && run(test, NAMESPACE_ROOT) == 1);
    testing_need(test, figure_once_noted(0).of_a == 0);
    /* a cell that it holds is swapped; one with state is refused, and so is a set of both kinds */
    testing_need(test, ORDER(child, "figure_c", figure_c) == ERR_OK && run(test, child) == 1);
    testing_need(test, ORDER(child, "figure_c", figure_c_v4) == ERR_REFUSED && run(test, child) == 1);
    testing_need(test, ORDER(child, "figure_c", figure_c_v2) == ERR_OK && run(test, child) == 1000);
    testing_need(test, ORDER(child, "figure_once", figure_once) == ERR_REFUSED);
}

static int32_t run_named(const struct testing *test, struct namespace_ref namespace_, const char *name)
{
    struct task *task;

    testing_need(test, application_run_in(namespace_, name, 1, &name, &task, &report) == ERR_OK);
    return outcome(test, task);
}

static void what_comes_later(const struct testing *test, struct namespace_ref child)
{
    const char *name = "figure_more";
    struct task *task;

    testing_need(test, run_named(test, child, "figure_late") == 1000);
    testing_need(test, run_named(test, NAMESPACE_ROOT, "figure_late") == 1);
    testing_need(test, !same(arena_cell_find(child, "figure_late"), arena_cell_find(NAMESPACE_ROOT, "figure_late")));
    /* only the child has what this one needs */
    testing_need(test, application_run_in(NAMESPACE_ROOT, name, 1, &name, &task, &report) == ERR_UNRESOLVED);
    testing_need(test, run_named(test, child, name) == 71 && !arena_cell_find(NAMESPACE_ROOT, name).index);
}

/* ---- a branch of a branch ---- */

static void branch_of_a_branch(const struct testing *test, struct namespace_ref child)
{
    struct use before = count_use();
    struct namespace_ref grandchild = branch(test, child, "grandchild");

    testing_need(test, is_shared(grandchild, child, "figure_c") && run(test, grandchild) == 1000);
    testing_need(test, namespace_remove(child, &report) == ERR_BUSY);
    testing_need(test, CHANGE(grandchild, figure_c, 0) == ERR_OK);
    testing_need(test, run(test, grandchild) == 1 && run(test, child) == 1000 && run(test, NAMESPACE_ROOT) == 1);
    testing_need(test, is_shared(grandchild, child, "figure_b") && !is_shared(grandchild, NAMESPACE_ROOT, "figure_b"));
    remove(test, grandchild);
    expect_use(test, &before);
}

/* ---- back to what was ---- */

static enum err check_out(struct namespace_ref namespace_, const char *name, uint64_t hash)
{
    GUARD(loader) locked = loader_hold();
    struct swap_order order = {.namespace_ = namespace_, .olds = 1, .objects = 1};

    order.old[0] = namespace_cell(namespace_, name);
    order.object[0] = history_find(name, hash);
    return order.object[0].index ? namespace_swap(&order, &report) : ERR_NOT_FOUND;
}

static uint64_t hash_in(struct namespace_ref namespace_, const char *name)
{
    return arena_object(arena_cell(namespace_cell(namespace_, name))->object)->hash;
}

void forget(void)
{
    struct history_bound bound = history_bound;

    history_bound.objects = 0;
    history_keep();
    history_bound = bound;
}

static void what_was_is_kept(const struct testing *test)
{
    forget(); /* what is kept for the root's commits */
    struct use before = count_use();
    struct namespace_ref child = branch(test, NAMESPACE_ROOT, "kept");
    uint64_t first = hash_in(child, "figure_c"), second;

    testing_need(test, CHANGE(child, figure_c_v2, 0) == ERR_OK);
    second = hash_in(child, "figure_c");
    testing_need(test, SWAP(child, figure_c) == ERR_OK && hash_in(child, "figure_c") == first && all_reaped());
    for (int i = 0; i < 3; i++) {
        testing_need(test, check_out(child, "figure_c", second) == ERR_OK && run(test, child) == 1000);
        testing_need(test, check_out(child, "figure_c", first) == ERR_OK && run(test, child) == 1);
    }
    testing_need(test, run(test, NAMESPACE_ROOT) == 1 && all_reaped());
    struct object_ref object = history_find("figure_c", second);
    testing_need(test, object.index && arena_object(object)->kept && !arena_object(object)->cells);
    uint8_t *byte = (uint8_t *)page_direct(arena_object(object)->phys) + arena_object(object)->bytes / 2;
    *byte ^= 1;
    testing_need(test, check_out(child, "figure_c", second) == ERR_CORRUPT && run(test, child) == 1);
    *byte ^= 1;
    forget();
    testing_need(test, check_out(child, "figure_c", second) == ERR_NOT_FOUND && run(test, child) == 1);
    testing_need(test, SWAP(child, figure_c_v2) == ERR_OK && SWAP(child, figure_c) == ERR_OK);
    testing_need(test, check_out(child, "figure_c", second) == ERR_OK && run(test, child) == 1000);
    remove(test, child);
    testing_need(test, all_reaped() && history_find("figure_c", second).index); /* the root has had it too */
    forget();
    expect_use(test, &before);
}

/* ---- tasks ---- */

static void note_namespace(uint64_t argument)
{
    *(struct namespace_ref *)argument = task_this()->record->namespace_;
}

static void spawn_another(uint64_t argument)
{
    OWN(task) struct task *task = task_spawn("inner", note_namespace, argument, NULL);

    if (task)
        (void)task_join(MOVE(task), NULL);
}

static void tasks_inherit(const struct testing *test, struct namespace_ref child)
{
    struct namespace_ref in = {};
    OWN(task)
    struct task *task = task_spawn("outer", spawn_another, (uint64_t)&in, &(struct task_options){.namespace_ = child});

    testing_need(test, task && task_join(MOVE(task), NULL) == JOIN_ENDED && same(in, child));
    testing_need(test, !task_spawn("lost", note_namespace, (uint64_t)&in, &(struct task_options){.namespace_ = {15}}));
    figure_once_expect(2);
    OWN(task) struct task *waits = start(test, child, "0", "1");
    testing_need(test, testing_await(waits->record->state == TASK_BLOCKED));
    testing_need(test, namespace_remove(child, &report) == ERR_BUSY);
    figure_once_meet();
    testing_need(test, outcome(test, MOVE(waits)) == 1000);
}

static void bound_to_a_cpu(const struct testing *test)
{
    struct namespace_options options = {.cpu = cpu_count()};
    struct namespace_ref child;

    testing_need(test, namespace_branch(NAMESPACE_ROOT, "bound", &options, &child, &report) == ERR_OK);
    figure_once_expect(1);
    testing_need(test, outcome(test, start(test, child, "0", "20000")) == 1);
    testing_need(test, figure_once_noted(0).cpus == 1ul << (cpu_count() - 1));
    remove(test, child);
}

/* ---- recovery ---- */

static void damage_is_mended_where_it_is(const struct testing *test, struct namespace_ref child)
{
    uint64_t at = ~place_of(child, "figure_c"), roots = place_of(NAMESPACE_ROOT, "figure_c"), phys;
    uint64_t reloads = arena_header()->counter[COUNTER_reloads];

    testing_need(test, page_translate(at, &phys) == ERR_OK);
    memset(page_direct(phys), 0x06, 4); /* no instruction in 64-bit mode */
    testing_need(test, run(test, child) == 1000);
    testing_need(test, arena_header()->counter[COUNTER_reloads] == reloads + 1);
    testing_need(test, place_of(NAMESPACE_ROOT, "figure_c") == roots);
    struct cell_ref cell = arena_cell_find(child, "figure_c");
    testing_need(test, same(arena_cell(cell)->namespace_, child) && arena_cell(cell)->version == 2);
    testing_need(test, run(test, NAMESPACE_ROOT) == 1);
}

/* ---- all ---- */

static void all_of_it(const struct testing *test, bool mends)
{
    forget();
    struct use before = count_use();
    uint64_t ended = figure_once_ended();
    struct namespace_ref child = branch(test, NAMESPACE_ROOT, "second");

    figure(test, child);
    testing_ok(test, "two namespaces differ in C, and tasks in both come to their own C and the same A and B");
    more_changes(test, child);
    testing_ok(test, "what a namespace already holds is redirected to what is changed later");
    swaps_keep_to_their_namespace(test, child);
    testing_ok(test, "a swap in one namespace leaves the other as it was");
    children_follow(test, child);
    testing_ok(test, "what a swap in the root brings is copied where it has to be");
    branch_of_a_branch(test, child);
    testing_ok(test, "a branch of a branch");
    tasks_inherit(test, child);
    testing_ok(test, "a task runs in the namespace of who made it, which stays while it runs");
    if (mends)
        damage_is_mended_where_it_is(test, child);
    testing_ok(test, "a damaged cell is reloaded in its namespace");
    remove(test, child);
    forget();
    expect_use(test, &before);
    testing_need(test, figure_once_ended() == ended + 2); /* in the child, and in the grandchild */
    testing_ok(test, "a removed namespace gives everything back");
}

static void later(const struct testing *test)
{
    struct namespace_ref child = branch(test, NAMESPACE_ROOT, "second");

    testing_need(test, CHANGE(child, figure_c_v2, 0) == ERR_OK && CHANGE(child, figure_b_v2, 0) == ERR_OK);
    what_comes_later(test, child);
    remove(test, child);
}

/* Loads cells that stay loaded, and has made what is made once. */
static void warm_up(const struct testing *test)
{
    testing_need(test, run(test, NAMESPACE_ROOT) == 1);
    struct namespace_ref child = branch(test, NAMESPACE_ROOT, "warm");
    testing_need(test, CHANGE(child, figure_c_v2, 0) == ERR_OK && run(test, child) == 1000);
    testing_need(test, SWAP(child, figure_c) == ERR_OK);
    remove(test, child);
    testing_need(test, SWAP(NAMESPACE_ROOT, figure_c_v2) == ERR_OK && SWAP(NAMESPACE_ROOT, figure_c) == ERR_OK);
    testing_need(test, ORDER(NAMESPACE_ROOT, "figure_a", figure_a_v2) == ERR_OK);
    testing_need(test, ORDER(NAMESPACE_ROOT, "figure_a", figure_a) == ERR_OK);
    held_in_part(test);
    taken_back(test);
    later(test);
    testing_need(test, all_reaped());
}

static int test_namespaces_main(int, char **)
{
    const struct testing nothing = {.name = "test_namespaces"};

    warm_up(&nothing);
    const struct testing test = testing_begin("test_namespaces");
    a_branch_shares_all(&test);
    testing_ok(&test, "a branch copies nothing");
    refused(&test);
    testing_ok(&test, "what is refused is named and leaves nothing behind, singletons first of all");
    bound_to_a_cpu(&test);
    testing_ok(&test, "tasks of a bound namespace stay on its CPU");
    forget();
    struct use unused = count_use();
    for (int i = 0; i < 3; i++)
        held_in_part(&test);
    forget();
    expect_use(&test, &unused);
    testing_ok(&test, "of a set a namespace may hold some and inherit others");
    for (int i = 0; i < 3; i++)
        taken_back(&test);
    forget();
    expect_use(&test, &unused);
    testing_ok(&test, "a namespace inherits again what it held, and lacks what its parent has");
    what_was_is_kept(&test);
    testing_ok(&test, "a namespace is taken back to what it was, as long as its objects are kept");
    many_come_and_go(&test);
    testing_ok(&test, "fifty namespaces come and go, and their frames are free again");
    all_of_it(&test, testing_has_recovery());
    struct use before = count_use();
    later(&test);
    forget();
    expect_use(&test, &before);
    testing_ok(&test, "cells that come later are linked as their namespace has it");
    testing_end(&test);
}
MAIN(test_namespaces_main);
