/* CPUs that hang with interrupts off, in every way: each is ended by a fault that says so, blamed on the cell that
 * hangs, and unwound; a CPU that no interrupt reaches is made to hear again. What only takes long is not ended. */
#include "cells/core/arena/arena.h"
#include "cells/core/cpu/cpu.h"
#include "cells/core/exception/exception.h"
#include "cells/core/page/page.h"
#include "cells/core/vector/vector.h"
#include "cells/host/log/log.h"
#include "cells/lib/string/string.h"
#include "cells/recover/fault/fault.h"
#include "cells/task/apic/apic.h"
#include "cells/task/deadline/deadline.h"
#include "cells/task/ipi/ipi.h"
#include "cells/task/park/park.h"
#include "cells/task/scheduler/scheduler.h"
#include "cells/task/task/task.h"
#include "cells/task/timer/timer.h"
#include "tests/guest/fixtures/hang/hang.h"
#include "tests/guest/fixtures/testing/testing.h"

CELL("test_watchdog", KERNEL, 1);

#define LIMIT_NS 1000000000ull /* watchdog=1000 on the command line */

static uint64_t newest(void)
{
    return __atomic_load_n(&arena_header()->fault_seq, __ATOMIC_RELAXED);
}

static uint64_t ticks_of(unsigned cpu)
{
    return __atomic_load_n(&cpu_get(cpu)->record->ticks, __ATOMIC_RELAXED);
}

static struct task *spawn_on(unsigned cpu, void (*entry)(uint64_t), uint64_t argument)
{
    return task_spawn("victim", entry, argument, &(struct task_options){.pinned = cpu + 1});
}

static void check_ticks(const struct testing *test)
{
    for (unsigned i = 0; i < cpu_count(); i++) {
        uint64_t before = ticks_of(i);
        testing_need(test, testing_await(ticks_of(i) > before + 1));
    }
}

/* The fault is a hang of that CPU that is blamed on the cell of hangs, and was recovered from. */
static void check_fault(const struct testing *test, uint64_t seq, unsigned cpu)
{
    testing_need(test, testing_await(fault_record(seq))); /* it may be being written */
    const struct arena_fault *fault = fault_record(seq);

    testing_need(test, fault->kind == FAULT_HANG && fault->cpu == cpu);
    testing_need(test, string_equal(fault->blamed, "hang"));
    testing_need(test, string_starts(fault->message, "no tick for 1") ||
                           string_starts(fault->message, "no answer to CPU ")); /* another one may have come to wait */
    testing_need(test, testing_await(fault->outcome == FAULT_OUTCOME_RECOVERED));
}

/* ---- in a task ---- */

static void hang_entry(uint64_t how)
{
    hang((enum hang_how)how);
}

static void in_task(const struct testing *test, unsigned cpu, enum hang_how how)
{
    uint64_t before = newest(), faults = how == HANG_CLEANUP ? 2 : 1;
    OWN(task) struct task *task = spawn_on(cpu, hang_entry, how);

    testing_need(test, task && task_join(MOVE(task), NULL) == JOIN_FAILED);
    testing_need(test, newest() == before + faults && !hang_is_locked());
    check_fault(test, before + faults, cpu);
    check_ticks(test);
}

static void all_at_once(const struct testing *test)
{
    struct task *task[CPU_MAX] = {};
    uint64_t before = newest();

    for (unsigned i = cpu_count(); i-- > 0;) {
        task[i] = spawn_on(i, hang_entry, HANG_LOOP);
        testing_need(test, task[i]);
    }
    for (unsigned i = 0; i < cpu_count(); i++)
        testing_need(test, task_join(task[i], NULL) == JOIN_FAILED);
    testing_need(test, newest() == before + cpu_count());
    check_ticks(test);
}

/* ---- while another CPU waits ---- */

static uint32_t hangs;

static void hang_and_say_so(uint64_t)
{
    GUARD(interrupts) off = interrupts_off();

    __atomic_store_n(&hangs, 1, __ATOMIC_RELEASE);
    hang(HANG_LOOP);
}

static void park(uint64_t)
{
    while (!__atomic_load_n(&hangs, __ATOMIC_ACQUIRE))
        cpu_relax();
    GUARD(park) parked = park_all();
}

static void flush(uint64_t)
{
    while (!__atomic_load_n(&hangs, __ATOMIC_ACQUIRE))
        cpu_relax();
    mapped_pages_put(page_map(4096, PAGE_WRITE));
}

/* The one that waits has its answer when the one that hangs has failed, and does not fail itself. */
static void awaited(const struct testing *test, void (*entry)(uint64_t))
{
    unsigned last = cpu_count() - 1;
    uint64_t before = newest();

    hangs = 0;
    OWN(task) struct task *waits = spawn_on(0, entry, 0);
    OWN(task) struct task *task = spawn_on(last, hang_and_say_so, 0);
    testing_need(test, waits && task && task_join(MOVE(task), NULL) == JOIN_FAILED);
    testing_need(test, task_join(MOVE(waits), NULL) == JOIN_ENDED && newest() == before + 1);
    check_fault(test, before + 1, last);
    testing_need(test, string_starts(fault_record(before + 1)->message, "no answer to CPU "));
}

/* ---- in the tick ---- */

static struct {
    void (*usual)(void); /* of the scheduler */
    uint64_t since;
    uint32_t cpu, hangs;
} tick;

static void on_tick(void)
{
    if (cpu_this()->index == tick.cpu && __atomic_exchange_n(&tick.hangs, 0, __ATOMIC_RELAXED))
        hang_in_handler(tick.since);
    tick.usual();
}

static void (*usual_tick(const struct testing *test))(void)
{
    for_each_section_of (i, arena_cell_find(NAMESPACE_ROOT, "timer"))
        if (string_equal(arena_string(arena_section(i)->name), ".bss.tick_handler"))
            return *(void (**)(void))arena_section(i)->virt;
    testing_fail(test, "the timer has no handler of ticks", __FILE_NAME__, __LINE__);
}

static void in_tick(const struct testing *test, unsigned cpu)
{
    tick.usual = usual_tick(test);
    tick.since = newest();
    tick.cpu = cpu;
    tick.hangs = 1;
    testing_need(test, timer_bind_tick(on_tick) == ERR_OK);
    testing_need(test, testing_await(newest() > tick.since));
    testing_need(test, timer_bind_tick(tick.usual) == ERR_OK);
    check_fault(test, tick.since + 1, cpu);
    testing_need(test, fault_record(tick.since + 1)->action != FAULT_ACTION_HALT && newest() == tick.since + 1);
    check_ticks(test);
}

/* ---- a CPU that hears nothing ---- */

static void never_end(struct trap_frame *frame)
{
    (void)frame; /* no apic_eoi */
}

static void await_ticks(void)
{
    uint64_t before = ticks_of(cpu_this()->index), since = 0;

    while (ticks_of(cpu_this()->index) < before + 2 && testing_is_time(&since))
        cpu_relax();
}

static void make_deaf(uint64_t vector)
{
    GUARD(preempt) here = scheduler_stay();

    ipi_send(apic_id(), (unsigned)vector);
    await_ticks();
}

static void stop_timer(uint64_t)
{
    GUARD(preempt) here = scheduler_stay();

    apic_timer_set(APIC_TIMER_ONCE, 0, 0);
    await_ticks();
}

/* What the CPU runs goes on, and the log says what was wrong. */
static void deaf(const struct testing *test, unsigned cpu, void (*entry)(uint64_t), uint64_t argument,
                 const char *message)
{
    uint64_t seq = newest() + 1;
    OWN(task) struct task *task = spawn_on(cpu, entry, argument);

    testing_need(test, task && task_join(MOVE(task), NULL) == JOIN_ENDED && newest() == seq);
    const struct arena_fault *fault = fault_record(seq);
    testing_need(test, fault->kind == FAULT_DAMAGE && fault->cpu == cpu && string_starts(fault->message, message));
    check_ticks(test);
}

/* ---- what only takes long ---- */

static void take_half(uint64_t)
{
    GUARD(interrupts) off = interrupts_off();
    uint64_t until = cpu_ns() + LIMIT_NS / 2;

    while (cpu_ns() < until)
        cpu_relax();
}

static void long_sections(const struct testing *test, unsigned cpu)
{
    uint64_t before = newest();

    for (int i = 0; i < 3; i++) {
        OWN(task) struct task *task = spawn_on(cpu, take_half, 0);
        testing_need(test, task && task_join(MOVE(task), NULL) == JOIN_ENDED);
    }
    testing_need(test, newest() == before);
}

/* ---- what it costs, on a machine whose clock counts instructions ---- */

#define NMIS       100
#define NMIS_PER_S 19

/* With NMIs to itself, each of which takes as long as one of the PIT's, and its sending. */
static void pace(const struct testing *test, unsigned instruction_ns)
{
    GUARD(interrupts) off = interrupts_off();
    uint64_t start = cpu_ns();

    for (int i = 0; i < NMIS; i++)
        ipi_send_nmi(apic_id());
    uint64_t each = (cpu_ns() - start) / NMIS / instruction_ns;
    log_info("TEST %s: an NMI takes %lu instructions, those of a second %lu", test->name, each, each * NMIS_PER_S);
    testing_need(test, each > 100 && each * NMIS_PER_S < 1000000);
    testing_ok(test, "it costs less than a thousandth of a CPU");
}

static int test_watchdog_main(int, char **)
{
    unsigned last = cpu_count() - 1, vector = vector_new();
    const struct testing warm_up = {.name = "test_watchdog"};

    if (testing_times("pace", 0)) {
        const struct testing timed = testing_begin("test_watchdog");
        pace(&timed, testing_times("pace", 0));
        testing_end(&timed);
    }
    in_task(&warm_up, 0, HANG_LOOP);
    const struct testing test = testing_begin("test_watchdog");
    for (enum hang_how how = HANG_HALT; how < HANG_COUNT; how++)
        in_task(&test, how == HANG_HALT ? 0 : last, how);
    if (deadline_has_counter()) /* else nobody is left to send an NMI */
        all_at_once(&test);
    testing_ok(&test, "tasks that hang with interrupts off are ended");
    if (last) {
        awaited(&test, park);
        awaited(&test, flush);
        testing_ok(&test, "a CPU that waits for one that hangs goes on");
    }
    in_tick(&test, last);
    testing_ok(&test, "a tick that does not end is left");
    testing_need(&test, vector && vector_bind(vector, never_end) == ERR_OK);
    deaf(&test, 0, make_deaf, vector, "interrupt ");
    deaf(&test, last, stop_timer, 0, "the timer stood");
    testing_need(&test, vector_bind(vector, NULL) == ERR_OK);
    testing_ok(&test, "CPUs that no interrupt reaches are made to hear");
    long_sections(&test, last);
    testing_ok(&test, "what only takes long is not ended");
    testing_end(&test);
}
MAIN(test_watchdog_main);
