/* The system outlives faults in awkward places: in interrupt handlers, in cleanup functions, in the nano_core under its
 * locks, on all CPUs at once; and damaged text is replaced before the failed task runs again. */
#include "cells/kernel/apic/apic.h"
#include "cells/kernel/arena/arena.h"
#include "cells/kernel/cpu/cpu.h"
#include "cells/kernel/exception/exception.h"
#include "cells/kernel/fault/fault.h"
#include "cells/kernel/heap/heap.h"
#include "cells/kernel/loader/loader.h"
#include "cells/kernel/lock/lock.h"
#include "cells/kernel/mend/mend.h"
#include "cells/kernel/page/page.h"
#include "cells/kernel/panic/panic.h"
#include "cells/kernel/park/park.h"
#include "cells/kernel/scheduler/scheduler.h"
#include "cells/kernel/task/task.h"
#include "cells/lib/string/string.h"
#include "tests/guest/fragile/fragile.h"
#include "tests/guest/testing/testing.h"

CELL("test_fault", KERNEL, 1);

#define AT_ONCE 6
#define EXITS   4
#define KEEP_NS 5000000000ull /* longer than anybody waits for a lock */
#define WAIT_NS 20000000

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

static uint64_t counter(enum arena_counter which)
{
    return __atomic_load_n(&arena_header()->counter[which], __ATOMIC_RELAXED);
}

static struct arena_fault *newest_fault(void)
{
    return fault_record(arena_header()->fault_seq);
}

/* The recovery cell gets to faults of interrupt handlers in its own time. */
static bool is_open(void)
{
    uint64_t newest = arena_header()->fault_seq;

    for (uint64_t seq = newest; seq && newest - seq < AT_ONCE; seq--)
        if (fault_record(seq) && fault_record(seq)->outcome == FAULT_OUTCOME_OPEN)
            return true;
    return false;
}

static bool is_settled(void)
{
    for (int i = 0; i < 100 && is_open(); i++)
        scheduler_sleep_ns(WAIT_NS);
    return newest_fault()->outcome == FAULT_OUTCOME_RECOVERED;
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
    uint64_t faults = counter(COUNTER_faults);

    vector = vector ? vector : exception_vector_new();
    entered = released = 0;
    testing_need(test, exception_bind(vector, bad_handler) == ERR_OK);
    {
        GUARD(preempt) here = scheduler_stay();
        apic_send_ipi(apic_id(), vector);
        while (!released)
            cpu_relax();
    }
    testing_need(test, is_free(&lock) && entered == 1 && released == 1);
    testing_need(test, counter(COUNTER_faults) == faults + 1);
    uint64_t ticks = counter(COUNTER_ticks);
    while (counter(COUNTER_ticks) < ticks + 5)
        cpu_relax();
    testing_need(test, is_settled());
    testing_need(test, exception_bind(vector, NULL) == ERR_OK);
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

static bool fails(void (*entry)(uint64_t), uint64_t argument)
{
    OWN(task) struct task *task = task_spawn("victim", entry, argument, NULL);

    return task && task_join(MOVE(task), NULL) == ERR_CLOSED;
}

static void in_cleanup(const struct testing *test)
{
    uint64_t faults = counter(COUNTER_faults);

    entered = released = 0;
    testing_need(test, fails(fail_in_cleanup, 1));
    testing_need(test, entered == 2 && released == 2 && is_free(&lock));
    testing_need(test, counter(COUNTER_faults) == faults + 2);
}

/* ---- the nano_core, while it holds its own locks ---- */

static void load_nothing(uint64_t argument)
{
    (void)loader_load((const char *)argument, NULL, NULL);
}

static void find_nothing(uint64_t argument)
{
    GUARD(arena) change = arena_change();

    (void)arena_symbol_find(1, (const char *)argument);
}

static void in_nano_core(const struct testing *test)
{
    uint64_t generation;
    uint32_t cell;

    testing_need(test, fails(load_nothing, 16));
    testing_need(test, newest_fault()->cell && mend_is_core(newest_fault()->cell));
    testing_need(test, loader_load("fragile", &cell, NULL) == ERR_OK);
    testing_need(test, fails(find_nothing, 16));
    generation = arena_header()->generation;
    testing_need(test, generation % 2 == 0);
}

/* ---- the loader, in the middle of its work ---- */

/* For as long as the scope lasts, who wants a new symbol record faults. In the loader's turn, so that others do not. */
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
    GUARD(loader) turn = loader_hold();
    GUARD(damage) damaged = damage();

    (void)loader_load((const char *)name, NULL, NULL);
}

/* As if the stack had been lost, and with it who was to let go. */
static void keep_turn(uint64_t)
{
    struct loader_guard lost = loader_hold();

    *(volatile int *)zero = lost.held;
}

static void in_loader(const struct testing *test)
{
    struct loader_detail detail;
    uint32_t cell;

    testing_need(test, fails(load_half, (uint64_t) "checksum"));
    testing_need(test, loader_load("checksum", &cell, &detail) == ERR_OK);
    testing_need(test, string_equal(arena_string(arena_cell(cell)->name), "checksum"));
    testing_need(test, arena_cell(cell)->first_symbol && loader_unload(cell) == ERR_OK);
    for (int i = 0; i < 2; i++) { /* the second time nobody may take it for initialized */
        testing_need(test, fails(load_nothing, (uint64_t) "brittle"));
        testing_need(test, !arena_cell_find(1, "brittle"));
    }
    testing_need(test, fails(keep_turn, 0));
    testing_need(test, loader_load("fragile", &cell, &detail) == ERR_OK);
}

/* ---- a lock that nobody has, and one that is not let go ---- */

static void take_lock(uint64_t)
{
    GUARD(lock) held = lock_take(&lock);
}

static void keep_lock(uint64_t until)
{
    GUARD(lock) held = lock_take(&lock);

    while (cpu_ns() < until)
        cpu_relax();
}

static void lock_lost(const struct testing *test)
{
    static const uint32_t words[] = {CPU_MAX, 1, 0x80000000, UINT32_MAX};

    for (size_t i = 0; i < array_size(words); i++) {
        lock.holder = words[i];
        OWN(task) struct task *task = task_spawn("finder", take_lock, 0, NULL);
        testing_need(test, task && task_join(MOVE(task), NULL) == ERR_OK && lock.holder == 0);
    }
    if (cpu_count() < 2)
        return;
    OWN(task)
    struct task *keeper = task_spawn("keeper", keep_lock, cpu_ns() + KEEP_NS, &(struct task_options){.pinned = 2});
    while (keeper && !lock.holder)
        scheduler_yield();
    testing_need(test, keeper && fails(take_lock, 0) && task_join(MOVE(keeper), NULL) == ERR_OK && lock.holder == 0);
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
        testing_need(test, tasks[i] && task_join(tasks[i], NULL) == ERR_CLOSED);
    testing_need(test, is_free(&lock));
}

/* ---- what recovery does then ---- */

/* Counts in the heap: static data starts anew when its cell is reloaded again and again. */
static void fail_twice(uint64_t counted)
{
    uint64_t *count = (uint64_t *)counted;

    if ((*count)++ < 2)
        *(volatile int *)zero = 1;
}

static void restarted(const struct testing *test)
{
    uint64_t restarts = counter(COUNTER_restarts);
    OWN(heap) uint64_t *count = heap_alloc(sizeof *count);

    testing_need(test, count);
    OWN(task)
    struct task *task = task_spawn("phoenix", fail_twice, (uint64_t)count, &(struct task_options){.restartable = true});
    testing_need(test, task && task_join(MOVE(task), NULL) == ERR_OK);
    testing_need(test, *count == 3 && counter(COUNTER_restarts) == restarts + 2);
    testing_need(test, newest_fault()->outcome == FAULT_OUTCOME_RECOVERED);
}

static void wake_nobody(uint64_t counted)
{
    uint64_t *count = (uint64_t *)counted;

    if ((*count)++ < 3)
        (void)scheduler_wake((struct task *)16, 0);
}

/* Again and again: the scheduler is reloaded, but cannot do without its data. */
static void core_fails(const struct testing *test)
{
    uint64_t reloads = counter(COUNTER_reloads);
    OWN(heap) uint64_t *count = heap_alloc(sizeof *count);

    testing_need(test, count);
    OWN(task)
    struct task *task =
        task_spawn("phoenix", wake_nobody, (uint64_t)count, &(struct task_options){.restartable = true});
    testing_need(test, task && task_join(MOVE(task), NULL) == ERR_OK);
    testing_need(test, *count == 4 && counter(COUNTER_reloads) == reloads + 2);
    scheduler_sleep_ns(WAIT_NS);
}

static void use_fragile(uint64_t argument)
{
    runs++;
    (void)fragile_add(argument);
}

/* The section of the live cell that holds function or datum `name`. */
static struct arena_section *section_of(const char *cell, const char *name)
{
    uint32_t i = arena_cell(arena_cell_find(1, cell))->first_section;

    while (i && !string_equal(arena_string(arena_section(i)->name), name))
        i = arena_section(i)->next_in_cell;
    return i ? arena_section(i) : NULL;
}

static void damaged_text(const struct testing *test)
{
    uint64_t reloads = counter(COUNTER_reloads), total = fragile_add(0);
    struct arena_section *add = section_of("fragile", ".text.fragile_add");

    testing_need(test, add);
    uint8_t *text = page_direct(add->phys);
    uint32_t cell = add->cell;

    for (uint32_t i = 0; i < add->bytes; i++)
        text[i] = 0x06; /* no instruction in 64-bit mode */
    runs = 0;
    OWN(task)
    struct task *task = task_spawn("phoenix", use_fragile, 5, &(struct task_options){.restartable = true});
    testing_need(test, task && task_join(MOVE(task), NULL) == ERR_OK);
    testing_need(test, runs == 2 && counter(COUNTER_reloads) == reloads + 1);
    testing_need(test, newest_fault()->action == FAULT_ACTION_RELOAD || newest_fault()->action == FAULT_ACTION_RESTART);
    testing_need(test, arena_cell_find(1, "fragile") != cell);
    testing_need(test, fragile_add(0) == total + 5);
    testing_need(test, string_equal(fragile_word(1), "two"));
}

/* ---- on the way out ---- */

/* Meets an undefined instruction when the reaper has been told of its end; mending takes that away. The others stand
 * still, so that none of them meets it first. */
static void exit_badly(uint64_t phys)
{
    static const uint8_t undefined[2] = {0x0f, 0x0b};
    GUARD(park) parked = park_all();

    memcpy(page_direct(phys), undefined, sizeof undefined);
    task_exit(0);
}

static void in_exit(const struct testing *test)
{
    uint64_t faults = counter(COUNTER_faults);

    for (unsigned i = 0; i < EXITS; i++) {
        const struct arena_section *block = section_of("scheduler", ".text.scheduler_block"); /* moves, when reloaded */
        OWN(task) struct task *task = block ? task_spawn("victim", exit_badly, block->phys, NULL) : NULL;
        testing_need(test, task);
        while (!__atomic_load_n(&task->finished, __ATOMIC_ACQUIRE))
            scheduler_sleep_ns(WAIT_NS);
        scheduler_sleep_ns(WAIT_NS);
        testing_need(test, task->references == 1); /* ours */
        testing_need(test, task_join(MOVE(task), NULL) == ERR_CLOSED);
    }
    testing_need(test, counter(COUNTER_faults) == faults + EXITS && is_settled());
}

/* ---- with the other CPUs parked ---- */

static void park_and_fail(uint64_t)
{
    (void)park_all(); /* no cleanup, as when the fault hits where the compiler expects none */
    *(volatile int *)zero = 1;
}

static void while_parked(const struct testing *test)
{
    testing_need(test, fails(park_and_fail, 0) && is_settled());
    GUARD(park) parked = park_all();
}

/* ---- with the turn of the shootdown ---- */

/* As a fault leaves it in shootdown_pages where the compiler expects none. False: another CPU has the turn. */
static bool lose_turn(uint32_t *holder)
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
    const struct arena_section *s = section_of("shootdown", ".bss.holder");

    testing_need(test, s);
    while (!lose_turn((uint32_t *)s->virt))
        cpu_relax();
    mapped_pages_put(page_map(4096, PAGE_WRITE)); /* wherever this runs now: everybody gets the turn again */
}

/* ---- with damaged records ---- */

static void in_a_circle(const struct testing *test)
{
    uint32_t cell = arena_cell_find(1, "fragile"), first = arena_cell(cell)->first_section;
    uint32_t next = arena_section(first)->next_in_cell;

    testing_need(test, mend_is_needed(cell) == false && next);
    arena_section(first)->next_in_cell = first;
    testing_need(test, mend_cell(cell) == 0);
    arena_section(first)->next_in_cell = next;
    testing_need(test, arena_sound(ARENA_SECTIONS, first));
}

/* ---- with damaged pointers, the other CPUs parked so that none of them meets one ---- */

static void bound_pointer(const struct testing *test, const char *cell, const char *name)
{
    const struct arena_section *s = section_of(cell, name);

    testing_need(test, s);
    GUARD(park) parked = park_all();
    volatile uint64_t *word = (volatile uint64_t *)s->virt;
    uint64_t before = *word;
    *word = before ^ 1ull << 37;
    unsigned mended = mend_cell(s->cell);
    testing_need(test, before && mended == 1 && *word == before);
}

static void idle_task(const struct testing *test)
{
    const struct arena_section *s = section_of("scheduler", ".bss.idle_tasks");

    testing_need(test, s);
    GUARD(park) parked = park_all();
    volatile uint64_t *word = (volatile uint64_t *)s->virt;
    uint64_t before = *word;
    *word = 16;
    scheduler_rebuild();
    testing_need(test, before && *word == before);
}

/* Cells that were replaced are freed a little later. */
static void wait_for_old_cells(void)
{
    for (uint32_t i = 1; i < ARENA_CELLS_MAX; i++)
        while (arena_cell(i)->state == CELL_OLD)
            scheduler_sleep_ns(WAIT_NS);
}

static int test_fault_main(int argc, char **argv)
{
    struct testing test = testing_begin("test_fault");

    (void)argc;
    (void)argv;
    in_nano_core(&test);
    in_loader(&test);
    wait_for_old_cells();
    test = testing_begin("test_fault");
    in_handler(&test);
    testing_ok(&test, "in an interrupt handler: its lock is free, what it had interrupted goes on");
    in_cleanup(&test);
    testing_ok(&test, "in a cleanup function: those outside of it run");
    in_nano_core(&test);
    testing_ok(&test, "in the nano_core: the loader's turn and the arena's lock are given back");
    in_loader(&test);
    testing_ok(&test, "in the loader: what was half loaded or half initialized is taken back");
    lock_lost(&test);
    testing_ok(&test, "for want of a lock: nobody has it, or it is not let go");
    at_once(&test);
    testing_ok(&test, "in several tasks at once");
    restarted(&test);
    testing_ok(&test, "a restartable task runs again");
    core_fails(&test);
    testing_ok(&test, "a cell that recovery stands on keeps its data");
    while_parked(&test);
    testing_ok(&test, "with the other CPUs parked: they go on");
    bound_pointer(&test, "scheduler", ".bss.idle_call");
    bound_pointer(&test, "timer", ".bss.tick_handler");
    bound_pointer(&test, "exception", ".bss.exit_handler");
    idle_task(&test);
    testing_ok(&test, "with damaged pointers that have one right value");
    in_a_circle(&test);
    testing_ok(&test, "with a list of sections that never ends");
    turn_lost(&test);
    testing_ok(&test, "with the turn of a shootdown: it is taken over");
    in_exit(&test);
    testing_ok(&test, "on the way out: the task is taken down once");
    damaged_text(&test);
    testing_ok(&test, "damaged text is reloaded, data kept, before the task runs again");
    testing_end(&test);
}
MAIN(test_fault_main);
