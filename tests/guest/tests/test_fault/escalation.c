/* What no unwinding puts right: damaged words of a task, a task that cannot be taken down, data of another cell. */
#include "cells/core/arena/arena.h"
#include "cells/core/cpu/cpu.h"
#include "cells/core/page/page.h"
#include "cells/core/panic/panic.h"
#include "cells/memory/heap/heap.h"
#include "cells/task/park/park.h"
#include "cells/task/scheduler/scheduler.h"
#include "cells/task/task/task.h"
#include "tests/guest/fixtures/fragile/fragile.h"
#include "tests/guest/tests/test_fault/test_fault.h"

#define TOO_MUCH (1ul << 50)
#define RETURN   0xc3
#define NO_PIN   0x1001
#define FLIPPED  (1ul << 21)

static volatile bool may_end;

static void wait_for_end(uint64_t)
{
    while (!may_end)
        scheduler_sleep_ns(1000000);
}

static bool is_blocked(const struct task *task)
{
    return __atomic_load_n(&task->record->state, __ATOMIC_ACQUIRE) == TASK_BLOCKED &&
           !__atomic_load_n(&task->on_cpu, __ATOMIC_ACQUIRE);
}

/* With the other CPUs parked, so that a task that is blocked stays so. False: it is not blocked. */
static bool damage_words(struct task *task)
{
    GUARD(park) parked = park_all();
    struct arena_task *record = task->record;
    uint64_t rsp = task->rsp;

    if (!is_blocked(task))
        return false;
    task->ref.index ^= 64;
    task->record = NULL;
    task->id ^= 1;
    task->pinned = NO_PIN;
    task->rsp ^= FLIPPED;
    scheduler_rebuild();
    return task->record == record && task->id == record->id && !task->pinned && task->rsp == rsp;
}

/* As above: a word of the table of tasks, in which a bit is flipped, and one that is free. */
static bool damage_pointers(struct task *task)
{
    GUARD(park) parked = park_all();
    const struct arena_section *section = test_fault_section("task", ".bss.by_record");
    struct task **table = section ? (struct task **)section->virt : NULL;
    uint32_t free = arena_header()->table[ARENA_TASKS].used;

    do /* number 0 always is */
        free--;
    while (table && table[free]);
    if (!table || !is_blocked(task) || table[free] || table[task->ref.index] != task)
        return false;
    table[free] = (struct task *)0x1234567812345678;
    table[task->ref.index] = (struct task *)((uint64_t)task ^ FLIPPED);
    scheduler_rebuild();
    bool mended = !table[free] && table[task->ref.index] == task;
    table[free] = NULL;
    table[task->ref.index] = task;
    return mended;
}

void test_fault_task_fields(const struct testing *test)
{
    may_end = false;
    OWN(task) struct task *task = task_spawn("victim", wait_for_end, 0, &(struct task_options){.pinned = NO_PIN});
    testing_need(test, task && testing_await(is_blocked(task) && damage_words(task)));
    testing_need(test, testing_await(is_blocked(task) && damage_pointers(task)));
    may_end = true;
    testing_need(test, task_join(MOVE(task), NULL) == JOIN_ENDED);
}

/* ---- a task that cannot be taken down ---- */

void test_fault_stuck_teardown(const struct testing *test)
{
    may_end = false;
    OWN(task) struct task *task = task_spawn("victim", wait_for_end, 0, NULL);
    testing_need(test, task);
    task->life.done.first = (struct task *)16; /* whom to wake when it has ended */
    may_end = true;
    testing_need(test, testing_await(__atomic_load_n(&task->life.finished, __ATOMIC_ACQUIRE)));
    OWN(task) struct task *other = task_spawn("other", wait_for_end, 0, NULL);
    testing_need(test, other && testing_await(__atomic_load_n(&other->life.finished, __ATOMIC_ACQUIRE)));
    testing_need(test, task_join(MOVE(other), NULL) == JOIN_ENDED && test_fault_settled());
    task->life.done.first = NULL;
    task->life.references = 1; /* its own was not given back */
}

/* ---- data of another cell ---- */

static void use_total(uint64_t)
{
    if (fragile_add(0) >= TOO_MUCH)
        panic("a total that is too large");
}

void test_fault_import(const struct testing *test)
{
    (void)fragile_add(TOO_MUCH);
    OWN(task)
    struct task *task = task_spawn("phoenix", use_total, 0, &(struct task_options){.restartable = true});
    testing_need(test, task && task_join(MOVE(task), NULL) == JOIN_ENDED);
    testing_need(test, fragile_add(0) == 0 && test_fault_settled());
}

/* ---- what a reload stands on ---- */

static void fail_in_fragile(uint64_t phys)
{
    volatile uint8_t *text = page_direct(phys);

    *text = RETURN; /* string_copy copies nothing, without a fault */
    fragile_call((void (*)(uint64_t))8, 0);
}

void test_fault_foundation_first(const struct testing *test)
{
    const struct arena_section *copy = test_fault_section("string", ".text.string_copy");
    const struct arena_section *word = test_fault_section("fragile", ".text.fragile_word");
    uint64_t reloads = test_fault_counter(COUNTER_reloads);

    testing_need(test, copy && word);
    *(volatile uint8_t *)page_direct(word->phys) ^= 1; /* so that the cell is reloaded */
    testing_need(test, test_fault_fails(fail_in_fragile, copy->phys) && test_fault_settled());
    testing_need(test, test_fault_counter(COUNTER_reloads) > reloads);
    testing_need(test, *(volatile uint8_t *)page_direct(copy->phys) != RETURN);
}
