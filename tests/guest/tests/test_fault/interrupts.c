/* Interrupts: their entry damaged, a handler that fails in its cleanup too, one that comes too late, one that fails
 * while its CPU is parked. */
#include "cells/core/arena/arena.h"
#include "cells/core/cpu/cpu.h"
#include "cells/core/exception/exception.h"
#include "cells/core/exception/stubs.h"
#include "cells/core/page/page.h"
#include "cells/core/vector/vector.h"
#include "cells/recover/fault/fault.h"
#include "cells/task/apic/apic.h"
#include "cells/task/ipi/ipi.h"
#include "cells/task/park/park.h"
#include "cells/task/scheduler/scheduler.h"
#include "cells/task/task/task.h"
#include "tests/guest/tests/test_fault/test_fault.h"

static volatile uint32_t entered;
static volatile uint64_t zero;

/* ---- the entry stub of a vector ---- */

static void count_entry(struct trap_frame *frame)
{
    (void)frame;
    apic_eoi();
    entered++;
}

static uint8_t *stub_of(uint64_t vector)
{
    const struct arena_section *stubs = test_fault_section("exception", ".text.exception_stubs");

    return (uint8_t *)page_direct(stubs->phys) + vector * EXCEPTION_STUB_BYTES + vector / 32 * EXCEPTION_HOP_BYTES;
}

static void enter_damaged_stub(uint64_t vector)
{
    GUARD(preempt) here = scheduler_stay();
    volatile uint8_t *stub = stub_of(vector);

    stub[0] = 0x0f; /* ud2; nobody else uses the vector */
    stub[1] = 0x0b;
    ipi_send(apic_id(), (unsigned)vector);
    for (;;)
        cpu_relax();
}

static void enter_sound_stub(uint64_t vector)
{
    GUARD(preempt) here = scheduler_stay();
    uint32_t before = entered;
    uint64_t since = 0;

    ipi_send(apic_id(), (unsigned)vector);
    while (entered == before && testing_is_time(&since))
        cpu_relax();
}

/* On the first CPU, so that both meet. */
static bool run_there(void (*entry)(uint64_t), uint64_t argument, enum join how)
{
    OWN(task) struct task *task = task_spawn("victim", entry, argument, &(struct task_options){.pinned = 1});

    return task && task_join(MOVE(task), NULL) == how;
}

void test_fault_damaged_entry(const struct testing *test)
{
    unsigned vector = vector_new();

    entered = 0;
    testing_need(test, vector_bind(vector, count_entry) == ERR_OK);
    testing_need(test, run_there(enter_damaged_stub, vector, JOIN_FAILED) && entered == 0);
    testing_need(test, run_there(enter_sound_stub, vector, JOIN_ENDED) && entered == 1);
    testing_need(test, test_fault_settled() && vector_bind(vector, NULL) == ERR_OK);
}

/* ---- a fault in the cleanup of a handler that has failed ---- */

struct worse_guard {
    int nothing;
};

static void worse_guard_end(struct worse_guard *guard)
{
    *(volatile int *)zero = guard->nothing;
}

static void fail_twice(struct trap_frame *frame)
{
    GUARD(worse) worse = {(int)frame->vector};

    *(volatile int *)zero = 1;
}

/* Recovery may reload this cell with fresh data at once, so that nothing is counted in it. */
static void fail_in_handler(uint64_t vector)
{
    GUARD(preempt) here = scheduler_stay();
    uint64_t faults = arena_header()->fault_seq, since = 0;

    ipi_send(apic_id(), (unsigned)vector);
    while (__atomic_load_n(&arena_header()->fault_seq, __ATOMIC_RELAXED) < faults + 2 && testing_is_time(&since))
        cpu_relax();
}

void test_fault_nested_in_handler(const struct testing *test)
{
    unsigned vector = vector_new();
    uint64_t faults = arena_header()->fault_seq;

    testing_need(test, vector_bind(vector, fail_twice) == ERR_OK);
    testing_need(test, run_there(fail_in_handler, vector, JOIN_ENDED));
    testing_need(test, test_fault_settled() && arena_header()->fault_seq == faults + 2);
    testing_need(test, fault_record(faults + 1)->outcome == FAULT_OUTCOME_RECOVERED);
    testing_need(test, vector_bind(vector, NULL) == ERR_OK);
}

/* ---- an interrupt to park that comes when nobody parks ---- */

static void send_late(uint64_t vector)
{
    GUARD(preempt) here = scheduler_stay();

    for (unsigned i = 0; i < cpu_count(); i++)
        ipi_send(cpu_get(i)->apic_id, (unsigned)vector);
}

static void do_nothing(uint64_t)
{
}

void test_fault_late_interrupt(const struct testing *test)
{
    const struct arena_section *vector = test_fault_section("park", ".bss.vector");

    testing_need(test, vector);
    testing_need(test, run_there(send_late, *(const unsigned *)vector->virt, JOIN_ENDED));
    for (unsigned i = 0; i < cpu_count(); i++) {
        OWN(task)
        struct task *task = task_spawn("there", do_nothing, 0, &(struct task_options){.pinned = i + 1});
        testing_need(test, task && testing_await(__atomic_load_n(&task->life.finished, __ATOMIC_ACQUIRE)));
    }
    GUARD(park) parked = park_all();
}

/* ---- a CPU that fails while it is parked ---- */

static uint32_t fails;

/* Called by parked CPUs: the first one fails. */
static void fail_once(void)
{
    if (__atomic_exchange_n(&fails, 0, __ATOMIC_RELAXED))
        *(volatile uint64_t *)UINT64_C(0x5a5a5a5a5a5a5a58) = 0; /* no canonical address */
}

/* Whether the handler that has failed with this fault has been left. */
static bool is_left(uint64_t seq)
{
    const struct arena_fault *fault = fault_record(seq);

    return fault && __atomic_load_n(&fault->action, __ATOMIC_RELAXED) == FAULT_ACTION_UNWIND;
}

static void park_until_left(uint64_t seq)
{
    void (*before)(void) = cpu_park_hook;
    uint64_t since = 0;
    GUARD(park) parked = park_all();

    __atomic_store_n(&cpu_park_hook, fail_once, __ATOMIC_RELAXED);
    while (!is_left(seq) && testing_is_time(&since))
        cpu_relax();
    __atomic_store_n(&cpu_park_hook, before, __ATOMIC_RELAXED);
}

/* The word with the number of the CPU that parks the others is damaged: there is no CPU of that number. */
static void park_without_holder(const struct testing *test)
{
    const struct arena_section *section = test_fault_section("park", ".bss.holder");

    testing_need(test, section);
    *(volatile uint32_t *)section->virt = CPU_MAX + 3;
    GUARD(park) parked = park_all();
}

void test_fault_parked(const struct testing *test)
{
    uint64_t seq = arena_header()->fault_seq + 1;

    park_without_holder(test);
    if (cpu_count() == 1)
        return;
    fails = 1;
    park_until_left(seq);
    testing_need(test, test_fault_settled() && arena_header()->fault_seq == seq);
    for (unsigned i = 0; i < 2; i++) {
        GUARD(park) parked = park_all();
    }
}
