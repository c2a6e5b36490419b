/* The system survives faults in awkward places: in interrupt handlers, in cleanup functions, in the nano_core under its
 * locks, on all CPUs at once; and damaged text is replaced before the failed task runs again. */
#include "cells/core/arena/arena.h"
#include "cells/core/cpu/cpu.h"
#include "cells/core/exception/exception.h"
#include "cells/core/lifecycle/lifecycle.h"
#include "cells/core/loader/loader.h"
#include "cells/core/lock/lock.h"
#include "cells/core/page/page.h"
#include "cells/core/panic/panic.h"
#include "cells/core/vector/vector.h"
#include "cells/lib/string/string.h"
#include "cells/memory/heap/heap.h"
#include "cells/recover/fault/fault.h"
#include "cells/recover/mend/mend.h"
#include "cells/task/apic/apic.h"
#include "cells/task/ipi/ipi.h"
#include "cells/task/application/application.h"
#include "cells/task/park/park.h"
#include "cells/task/scheduler/scheduler.h"
#include "cells/task/task/task.h"
#include "guest/abi/note.h"
#include "tests/guest/fixtures/fragile/fragile.h"
#include "tests/guest/fixtures/testing/testing.h"
#include "tests/guest/tests/test_fault/test_fault.h"

CELL("test_fault", KERNEL, 1);

#define AT_ONCE     TEST_FAULT_AT_ONCE
#define EXITS       4
#define TRIES_MAX   16 /* of a task within a minute: that of recovery */
#define UNLISTED_NS 300000000ull
#define KEEP_NS     120000000000ull /* longer than anybody waits for a lock, also on a loaded host */
#define WAIT_NS     20000000

static struct lock lock;
static volatile uint64_t zero;
static volatile uint32_t entered, released, runs;

struct mark_guard {
    int nothing;
};

static struct mark_guard mark(void)
{
    entered++;
    return (struct mark_guard){0};
}

static void mark_guard_end(struct mark_guard *guard)
{
    (void)guard;
    released++;
}

static bool is_free(const struct lock *l)
{
    return !l->holder;
}

static struct arena_fault *newest_fault(void)
{
    return fault_record(arena_header()->fault_seq);
}

/* ---- an interrupt handler ---- */

static void bad_handler(struct trap_frame *frame)
{
    GUARD(mark) marked = mark();
    GUARD(lock) held = lock_take(&lock);

    (void)frame;
    *(volatile int *)zero = 1;
    apic_eoi();
}

static void in_handler(const struct testing *test)
{
    static unsigned vector;
    uint64_t faults = test_fault_counter(COUNTER_faults);

    vector = vector ? vector : vector_new();
    entered = released = 0;
    testing_need(test, vector_bind(vector, bad_handler) == ERR_OK);
    {
        GUARD(preempt) here = scheduler_stay();
        ipi_send(apic_id(), vector);
        while (!released)
            cpu_relax();
    }
    testing_need(test, is_free(&lock) && entered == 1 && released == 1);
    testing_need(test, test_fault_counter(COUNTER_faults) == faults + 1);
    uint64_t ticks = test_fault_counter(COUNTER_ticks);
    while (test_fault_counter(COUNTER_ticks) < ticks + 5)
        cpu_relax();
    testing_need(test, test_fault_settled());
    testing_need(test, vector_bind(vector, NULL) == ERR_OK);
}

/* ---- a cleanup function ---- */

struct bad_guard {
    int nothing;
};

static void bad_guard_end(struct bad_guard *guard)
{
    GUARD(lock) held = lock_take(&lock);

    *(volatile int *)zero = guard->nothing;
    released = 100;
}

static void fail_in_cleanup(uint64_t argument)
{
    GUARD(mark) first = mark();
    GUARD(bad) bad = {(int)argument};
    GUARD(mark) last = mark();

    *(volatile int *)zero = 1;
    entered = 100;
}

static void in_cleanup(const struct testing *test)
{
    uint64_t faults = test_fault_counter(COUNTER_faults);

    entered = released = 0;
    testing_need(test, test_fault_fails(fail_in_cleanup, 1));
    testing_need(test, entered == 2 && released == 2 && is_free(&lock));
    testing_need(test, test_fault_counter(COUNTER_faults) == faults + 2);
}

/* ---- locks that no landing pad releases ---- */

static struct lock kept[2];

static void keep_and_fail(uint64_t)
{
    for (size_t i = 0; i < array_size(kept); i++)
        (void)lock_take(&kept[i]); /* no cleanup, as when the fault hits where the compiler expects none */
    *(volatile int *)zero = 1;
}

static void locks_kept(const struct testing *test)
{
    uint64_t abandoned = test_fault_counter(COUNTER_locks_abandoned);

    testing_need(test, test_fault_fails(keep_and_fail, 0));
    testing_need(test, is_free(&kept[0]) && is_free(&kept[1]));
    testing_need(test, test_fault_counter(COUNTER_locks_abandoned) == abandoned + array_size(kept));
}

/* ---- the nano_core, while it holds its own locks ---- */

static void load_nothing(uint64_t argument)
{
    (void)loader_load((const char *)argument, NULL, NULL);
}

static void find_nothing(uint64_t argument)
{
    GUARD(arena) change = arena_change();

    (void)arena_symbol_find(NAMESPACE_ROOT, (const char *)argument);
}

static void in_nano_core(const struct testing *test)
{
    uint64_t generation;
    struct cell_ref cell;

    testing_need(test, test_fault_fails(load_nothing, 16));
    testing_need(test, newest_fault()->cell.index && mend_is_core(newest_fault()->cell));
    testing_need(test, loader_load("fragile", &cell, NULL) == LOAD_OK);
    testing_need(test, test_fault_fails(find_nothing, 16));
    generation = arena_header()->generation;
    testing_need(test, generation % 2 == 0);
}

/* ---- the loader, in the middle of its work ---- */

/* Until the scope ends, making a symbol record faults. Holds the loader lock, so that no other task makes one. */
struct damage_guard {
    uint32_t used, free_head;
};

static struct damage_guard damage(void)
{
    struct arena_table_desc *symbols = &arena_header()->table[ARENA_SYMBOLS];
    struct damage_guard guard = {symbols->used, symbols->free_head};

    symbols->used = symbols->free_head = 0;
    return guard;
}

static void damage_guard_end(struct damage_guard *guard)
{
    struct arena_table_desc *symbols = &arena_header()->table[ARENA_SYMBOLS];

    symbols->used = guard->used;
    symbols->free_head = guard->free_head;
}

static void load_half(uint64_t name)
{
    GUARD(loader) locked = loader_hold();
    GUARD(damage) damaged = damage();

    (void)loader_load((const char *)name, NULL, NULL);
}

/* As if the stack had been lost, and with it the guard that releases the lock. */
static void keep_loader_lock(uint64_t)
{
    struct loader_guard lost = loader_hold();

    *(volatile int *)zero = lost.held;
}

static void in_loader(const struct testing *test)
{
    struct report report;
    struct cell_ref cell;

    testing_need(test, test_fault_fails(load_half, (uint64_t) "checksum"));
    testing_need(test, loader_load("checksum", &cell, &report) == LOAD_OK);
    testing_need(test, string_equal(arena_string(arena_cell(cell)->name), "checksum"));
    testing_need(test, arena_cell(cell)->first_symbol.index && lifecycle_unload(cell) == ERR_OK);
    for (int i = 0; i < 2; i++) { /* the second time nobody may take it for initialized */
        testing_need(test, test_fault_fails(load_nothing, (uint64_t) "brittle"));
        testing_need(test, !arena_cell_find(NAMESPACE_ROOT, "brittle").index);
    }
    testing_need(test, test_fault_fails(keep_loader_lock, 0));
    testing_need(test, loader_load("fragile", &cell, &report) == LOAD_OK);
}

/* ---- a lock that nobody has, and one that is not let go ---- */

static void take_lock(uint64_t)
{
    GUARD(lock) held = lock_take(&lock);
}

/* Holds it until a task that waits for it has failed. */
static void keep_lock(uint64_t faults)
{
    GUARD(lock) held = lock_take(&lock);
    uint64_t until = cpu_ns() + KEEP_NS;

    while (test_fault_counter(COUNTER_faults) == faults && cpu_ns() < until)
        cpu_relax();
}

/* As if its CPU were stopped for long between the lock's word and its own list. */
static void hold_unlisted(uint64_t)
{
    GUARD(interrupts) off = interrupts_off();
    uint64_t until = cpu_ns() + UNLISTED_NS;

    __atomic_store_n(&lock.holder, cpu_this()->index + 1, __ATOMIC_RELEASE);
    while (cpu_ns() < until)
        cpu_relax();
    entered = 1;
    __atomic_store_n(&lock.holder, 0, __ATOMIC_RELEASE);
}

static void take_from_stopped(const struct testing *test)
{
    entered = 0;
    OWN(task) struct task *keeper = task_spawn("keeper", hold_unlisted, 0, &(struct task_options){.pinned = 2});
    while (keeper && !lock.holder && !entered) /* on a slow host it may be over already */
        scheduler_yield();
    GUARD(lock) held = lock_take(&lock);
    testing_need(test, keeper && entered);
}

static void lock_lost(const struct testing *test)
{
    static const uint32_t words[] = {CPU_MAX, 1, 0x80000000, UINT32_MAX};

    for (size_t i = 0; i < array_size(words); i++) {
        lock.holder = words[i];
        OWN(task) struct task *task = task_spawn("finder", take_lock, 0, NULL);
        testing_need(test, task && task_join(MOVE(task), NULL) == JOIN_ENDED && lock.holder == 0);
    }
    if (cpu_count() < 2)
        return;
    take_from_stopped(test);
    OWN(task)
    struct task *keeper =
        task_spawn("keeper", keep_lock, test_fault_counter(COUNTER_faults), &(struct task_options){.pinned = 2});
    while (keeper && !lock.holder)
        scheduler_yield();
    testing_need(test, keeper && test_fault_fails(take_lock, 0) && task_join(MOVE(keeper), NULL) == JOIN_ENDED &&
                           lock.holder == 0);
}

/* ---- everywhere at once ---- */

static void fail_at_once(uint64_t argument)
{
    OWN(heap) uint64_t *block = heap_alloc(64);
    GUARD(lock) held = lock_take(&lock);

    block[0] = argument;
    *(volatile int *)zero = 1;
    block[1] = argument;
}

static void at_once(const struct testing *test)
{
    static struct task *tasks[AT_ONCE];

    for (uint64_t i = 0; i < AT_ONCE; i++)
        tasks[i] = task_spawn("victim", fail_at_once, i, NULL);
    for (uint64_t i = 0; i < AT_ONCE; i++)
        testing_need(test, tasks[i] && task_join(tasks[i], NULL) == JOIN_FAILED);
    testing_need(test, is_free(&lock));
}

/* ---- what recovery does then ---- */

/* Counts in the heap: static data is fresh when its cell is reloaded repeatedly. */
static void fail_twice(uint64_t counted)
{
    uint64_t *count = (uint64_t *)counted;

    if ((*count)++ < 2)
        *(volatile int *)zero = 1;
}

static void restarted(const struct testing *test)
{
    uint64_t restarts = test_fault_counter(COUNTER_restarts);
    OWN(heap) uint64_t *count = heap_alloc(sizeof *count);

    testing_need(test, count);
    OWN(task)
    struct task *task = task_spawn("phoenix", fail_twice, (uint64_t)count, &(struct task_options){.restartable = true});
    testing_need(test, task && task_join(MOVE(task), NULL) == JOIN_ENDED);
    testing_need(test, *count == 3 && test_fault_counter(COUNTER_restarts) == restarts + 2);
    testing_need(test, newest_fault()->outcome == FAULT_OUTCOME_RECOVERED);
}

static void wake_nobody(uint64_t counted)
{
    uint64_t *count = (uint64_t *)counted;

    if ((*count)++ < 3)
        (void)scheduler_wake((struct task *)16, 0);
}

/* Repeatedly: the scheduler is reloaded, and keeps its data. */
static void core_fails(const struct testing *test)
{
    uint64_t reloads = test_fault_counter(COUNTER_reloads);
    OWN(heap) uint64_t *count = heap_alloc(sizeof *count);

    testing_need(test, count);
    OWN(task)
    struct task *task =
        task_spawn("phoenix", wake_nobody, (uint64_t)count, &(struct task_options){.restartable = true});
    testing_need(test, task && task_join(MOVE(task), NULL) == JOIN_ENDED);
    testing_need(test, *count == 4 && test_fault_counter(COUNTER_reloads) == reloads + 2);
    scheduler_sleep_ns(WAIT_NS);
}

static void use_fragile(uint64_t argument)
{
    runs++;
    (void)fragile_add(argument);
}

static void damaged_text(const struct testing *test)
{
    uint64_t reloads = test_fault_counter(COUNTER_reloads), total = fragile_add(0);
    struct arena_section *add = test_fault_section("fragile", ".text.fragile_add");

    testing_need(test, add);
    uint8_t *text = page_direct(add->phys);
    struct cell_ref cell = add->cell;

    for (uint32_t i = 0; i < add->bytes; i++)
        text[i] = 0x06; /* no instruction in 64-bit mode */
    runs = 0;
    OWN(task)
    struct task *task = task_spawn("phoenix", use_fragile, 5, &(struct task_options){.restartable = true});
    testing_need(test, task && task_join(MOVE(task), NULL) == JOIN_ENDED);
    testing_need(test, runs == 2 && test_fault_counter(COUNTER_reloads) == reloads + 1);
    testing_need(test, newest_fault()->action == FAULT_ACTION_RELOAD || newest_fault()->action == FAULT_ACTION_RESTART);
    testing_need(test, !same(arena_cell_find(NAMESPACE_ROOT, "fragile"), cell));
    testing_need(test, fragile_add(0) == total + 5);
    testing_need(test, string_equal(fragile_word(1), "two"));
}

/* An application that fails each time is restarted and reloaded, but not for ever. */
static void given_up(const struct testing *test)
{
    uint64_t restarts = test_fault_counter(COUNTER_restarts), reloads = test_fault_counter(COUNTER_reloads);
    OWN(task) struct task *task = NULL;
    int32_t code;

    testing_need(test, application_run("hopeless", 0, NULL, &task, NULL) == ERR_OK);
    testing_need(test, task_join(MOVE(task), &code) == JOIN_FAILED);
    testing_need(test, test_fault_counter(COUNTER_restarts) == restarts + TRIES_MAX);
    testing_need(test, test_fault_counter(COUNTER_reloads) == reloads + TRIES_MAX - 1);
    testing_need(test, lifecycle_unload(arena_cell_find(NAMESPACE_ROOT, "hopeless")) == ERR_OK);
}

/* ---- on the way out ---- */

/* Executes an undefined instruction after it was put on the teardown task's list; mend repairs that. The other CPUs are
 * parked, so that none of them executes it first. */
static void exit_badly(uint64_t phys)
{
    static const uint8_t undefined[2] = {0x0f, 0x0b};
    GUARD(park) parked = park_all();

    memcpy(page_direct(phys), undefined, sizeof undefined);
    task_exit(0);
}

static void in_exit(const struct testing *test)
{
    uint64_t faults = test_fault_counter(COUNTER_faults);

    for (unsigned i = 0; i < EXITS; i++) {
        /* It moves when its cell is reloaded. */
        const struct arena_section *block = test_fault_section("scheduler", ".text.scheduler_block");
        OWN(task) struct task *task = block ? task_spawn("victim", exit_badly, block->phys, NULL) : NULL;
        testing_need(test, task);
        testing_need(test, testing_await(__atomic_load_n(&task->life.finished, __ATOMIC_ACQUIRE)));
        scheduler_sleep_ns(WAIT_NS); /* if it were put a second time, that would be soon */
        testing_need(test, testing_await(__atomic_load_n(&task->life.references, __ATOMIC_ACQUIRE) == 1)); /* ours */
        testing_need(test, task_join(MOVE(task), NULL) == JOIN_FAILED);
    }
    testing_need(test, test_fault_counter(COUNTER_faults) == faults + EXITS && test_fault_settled());
}

/* ---- with the other CPUs parked ---- */

static volatile bool loader_held, fails_now;

static void park_and_fail(uint64_t await_holder)
{
    while (await_holder && !loader_held)
        cpu_relax();
    (void)park_all(); /* no cleanup, as when the fault hits where the compiler expects none */
    fails_now = true;
    *(volatile int *)zero = 1;
}

static void hold_loader(uint64_t)
{
    GUARD(loader) held = loader_hold();

    loader_held = true;
    while (!fails_now)
        cpu_relax();
}

/* The failed task needs the loader lock to end, and a task that is parked with it has to go on for that. */
static void fail_while_holder_parked(const struct testing *test)
{
    loader_held = fails_now = false;
    struct task_options first = {.pinned = 1};
    OWN(task) struct task *holder = task_spawn("holder", hold_loader, 0, &first);
    struct task_options second = {.pinned = 2};
    OWN(task) struct task *victim = task_spawn("victim", park_and_fail, 1, &second);

    testing_need(test, holder && victim);
    testing_need(test, task_join(MOVE(victim), NULL) == JOIN_FAILED);
    testing_need(test, task_join(MOVE(holder), NULL) == JOIN_ENDED && test_fault_settled());
}

static void while_parked(const struct testing *test)
{
    testing_need(test, test_fault_fails(park_and_fail, 0) && test_fault_settled());
    if (cpu_count() > 1)
        fail_while_holder_parked(test);
    GUARD(park) parked = park_all();
}

/* ---- with the lock of the shootdown ---- */

/* Leaves the lock as a fault in shootdown_pages does where the compiler expects none. False: another CPU holds it. */
static bool lose_shootdown_lock(uint32_t *holder)
{
    GUARD(interrupts) off = interrupts_off();
    uint32_t nobody = 0;

    if (!__atomic_compare_exchange_n(holder, &nobody, cpu_this()->index + 1, false, __ATOMIC_ACQUIRE, __ATOMIC_RELAXED))
        return false;
    mapped_pages_put(page_map(4096, PAGE_WRITE));
    return true;
}

static void turn_lost(const struct testing *test)
{
    const struct arena_section *s = test_fault_section("shootdown", ".bss.holder");

    testing_need(test, s);
    while (!lose_shootdown_lock((uint32_t *)s->virt))
        cpu_relax();
    mapped_pages_put(page_map(4096, PAGE_WRITE)); /* wherever this runs now: the lock is free again */
}

/* Cells that were replaced are freed a little later. */
static void wait_for_old_cells(const struct testing *test)
{
    for_each_cell (i)
        testing_need(test, testing_await(arena_cell(i)->state != CELL_OLD));
}

static const struct fault_case {
    void (*check)(const struct testing *test);
    const char *property;
} cases[] = {
    {in_handler, "in an interrupt handler: its lock is free, what it had interrupted goes on"},
    {in_cleanup, "in a cleanup function: those outside of it run"},
    {locks_kept, "with locks that no landing pad releases: they are free"},
    {test_fault_lock_list, "with a list of locks that is wrong: those in it are free"},
    {test_fault_lock_own, "with a lock whose word says that its CPU has it, though that does not: it is taken at once"},
    {test_fault_nested_in_handler, "in the cleanup of a handler that has failed: both faults are closed"},
    {test_fault_damaged_entry, "in the entry stub of an interrupt: its CPU hears the next one"},
    {test_fault_late_interrupt, "an interrupt to park that comes too late parks nobody"},
    {test_fault_parked, "while its CPU is parked: it can be parked again"},
    {test_fault_return_address, "with a flipped bit in a return address: the caller's landing pads run"},
    {test_fault_own_text, "with damaged text of memset and its like: the record is whole, and closed"},
    {test_fault_path, "with the path of exceptions damaged: it is mended, and the task is given up"},
    {in_nano_core, "in the nano_core: the loader lock and the arena's lock are released"},
    {in_loader, "in the loader: what was half loaded or half initialized is taken back"},
    {lock_lost, "for want of a lock: nobody has it, or it is not let go"},
    {at_once, "in several tasks at once"},
    {restarted, "a restartable task runs again"},
    {core_fails, "a cell that recovery stands on keeps its data"},
    {given_up, "an application that fails again and again is given up"},
    {test_fault_task_fields, "with a task's own words damaged: they are put right, and it runs"},
    {test_fault_stuck_teardown, "of the teardown task, each time with the same task: it goes on with others"},
    {test_fault_import, "because of data of a cell that is imported: it gets fresh data"},
    {test_fault_foundation_first, "with damage where recovery stands: that is mended before anything is reloaded"},
    {test_fault_heap, "with pools and sizes of the heap damaged: they are made again, and no block is written over"},
    {test_fault_caller, "of the heap because of what it is given: the cell that gives it gets fresh data"},
    {test_fault_lost_task, "with a CPU that no longer knows its task: the stack says whose it is"},
    {test_fault_last_waiter, "with an empty queue of waiting tasks that has a last one: who waits there is the first"},
    {while_parked, "with the other CPUs parked: they go on"},
    {test_fault_pointers, "with damaged pointers that have one right value"},
    {test_fault_circle, "with a list of sections that never ends"},
    {test_fault_mark, "with a mark of a core cell that is lost"},
    {turn_lost, "with the lock of a shootdown: it is taken over"},
    {in_exit, "on the way out: the task is taken down once"},
    {damaged_text, "damaged text is reloaded, data kept, before the task runs again"},
};

static int test_fault_main(int argc, char **argv)
{
    struct testing test = testing_begin("test_fault");

    (void)argc;
    (void)argv;
    in_nano_core(&test);
    in_loader(&test);
    wait_for_old_cells(&test);
    test = testing_begin("test_fault");
    for (size_t i = 0; i < array_size(cases); i++) {
        cases[i].check(&test);
        testing_ok(&test, cases[i].property);
    }
    testing_end(&test);
}
MAIN(test_fault_main);
