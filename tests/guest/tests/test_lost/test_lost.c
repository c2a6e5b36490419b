/* Tasks, queues and locks that are lost although nothing has failed: a tick finds that, and puts it right. Some of them
 * are damaged by hand, with the other CPUs parked; then no fault is logged, so that nothing else would look. */
#include "cells/core/arena/arena.h"
#include "cells/core/cpu/tables.h"
#include "cells/core/lock/lock.h"
#include "cells/core/page/page.h"
#include "cells/lib/string/string.h"
#include "cells/memory/reclaim/reclaim.h"
#include "cells/recover/fault/fault.h"
#include "cells/task/park/park.h"
#include "cells/task/run_queue/run_queue.h"
#include "cells/task/scheduler/scheduler.h"
#include "cells/task/task/task.h"
#include "cells/task/wait_queue/wait_queue.h"
#include "tests/guest/fixtures/testing/testing.h"

CELL("test_lost", KERNEL, 1);

#define REST_NS     30000000ull
#define LONG_NS     60000000000ull
#define SOME_NS     3000000000ull
#define WRONG_FLAG  0x2001u
#define SLEEPERS_AT 16 /* in the scheduler's static data: lock, first, next_ns */

static uint64_t counter(enum arena_counter which)
{
    return __atomic_load_n(&arena_header()->counter[which], __ATOMIC_RELAXED);
}

static uint64_t faults(void)
{
    return __atomic_load_n(&arena_header()->fault_seq, __ATOMIC_RELAXED);
}

/* Without asking the scheduler for anything. */
static bool spin_until(bool (*done)(void))
{
    uint64_t since = 0;

    while (!done() && testing_is_time(&since))
        cpu_relax();
    return done();
}

/* ---- tasks ---- */

static enum join run(void (*entry)(uint64_t))
{
    struct task *task = task_spawn("victim", entry, 0, NULL);

    return task ? task_join(task, NULL) : JOIN_SELF;
}

static volatile uint32_t ran;

static void run_once(uint64_t)
{
    ran = 1;
}

static bool has_run(void)
{
    return ran;
}

/* Each queue says that it is empty, and each ready task that it is queued. */
static void queues_emptied(const struct testing *test)
{
    uint64_t audits = counter(COUNTER_audits), before = faults();
    struct task *task = task_new("victim", run_once, 0, NULL);

    testing_need(test, task);
    ran = 0;
    {
        GUARD(park) parked = park_all();
        scheduler_ready(task);
        run_queue_empty();
    }
    testing_need(test, testing_await(ran) && task_join(task, NULL) == JOIN_ENDED);
    testing_need(test, counter(COUNTER_audits) > audits && faults() == before);
}

static void sleep_once(uint64_t)
{
    scheduler_sleep_ns(REST_NS);
    ran = 1;
}

static const struct arena_section *section_named(const struct testing *test, const char *cell, const char *name)
{
    const struct arena_section *found = NULL;

    for_each_section_of (i, arena_cell_find(NAMESPACE_ROOT, cell))
        if (string_equal(arena_string(arena_section(i)->name), name))
            found = arena_section(i);
    testing_need(test, found);
    return found;
}

/* Nobody's time is up any more, that of the teardown task and the scrubber neither. */
static void sleepers_forgotten(const struct testing *test)
{
    const struct arena_section *sleepers = section_named(test, "scheduler", ".data.sleepers");
    uint64_t before = faults();

    testing_need(test, sleepers->bytes == SLEEPERS_AT + 8);
    ran = 0;
    struct task *task = task_spawn("victim", sleep_once, 0, NULL);
    scheduler_sleep_ns(REST_NS / 3);
    {
        GUARD(park) parked = park_all();
        *(uint64_t *)(sleepers->virt + SLEEPERS_AT - 8) = 0;
        *(uint64_t *)(sleepers->virt + SLEEPERS_AT) = UINT64_MAX;
    }
    testing_need(test, task && spin_until(has_run) && task_join(task, NULL) == JOIN_ENDED);
    testing_need(test, faults() == before);
}

/* It is in no queue, and has no time-out, as if the call that sets one had been left out. */
static void sleep_for_ever(uint64_t)
{
    GUARD(interrupts) off = interrupts_off();

    scheduler_begin_wait(&task_this()->scheduler);
    (void)scheduler_wait(0);
}

static void without_time_out(const struct testing *test)
{
    struct task *task = task_spawn("victim", sleep_for_ever, 0, NULL);

    testing_need(test, task && task_join(task, NULL) == JOIN_ENDED);
}

/* It has ended, and is not on the teardown task's list. */
static void end_unheard(uint64_t)
{
    GUARD(interrupts) off = interrupts_off();

    task_this()->record->state = TASK_EXITED;
    for (;;)
        scheduler_block();
}

static void not_taken_down(const struct testing *test)
{
    testing_need(test, run(end_unheard) == JOIN_ENDED);
}

/* It has run last on a CPU that there cannot be. */
static void no_place(const struct testing *test)
{
    OWN(task) struct task *task = task_new("victim", run_once, 0, NULL);

    testing_need(test, task);
    task->run_queue.cpu = CPU_MAX * 40;
    scheduler_ready(task);
    testing_need(test, task_join(MOVE(task), NULL) == JOIN_ENDED);
}

static struct task *queued;

static void queue_another(uint64_t)
{
    GUARD(interrupts) off = interrupts_off();

    scheduler_ready(queued);
    run_queue_forget(&queued->run_queue);
    scheduler_yield();
}

/* It is in a queue, and says that it is in none: who would run it fails, and the queues are made again. */
static void queued_unheard(const struct testing *test)
{
    uint64_t before = faults();

    if (cpu_count() > 1) /* another CPU might take it, and this task fail */
        return;
    queued = task_new("victim", run_once, 0, NULL);
    testing_need(test, queued);
    enum join end = run(queue_another);
    testing_need(test, end == JOIN_FAILED || end == JOIN_ENDED);
    testing_need(test, task_join(queued, NULL) == JOIN_ENDED && faults() > before);
}

static void sleep_with_wrong_flag(uint64_t)
{
    GUARD(interrupts) off = interrupts_off();

    scheduler_begin_wait(&task_this()->scheduler);
    task_this()->scheduler.waiting = WRONG_FLAG;
    (void)scheduler_wait(cpu_ns() + REST_NS);
}

static void wrong_flag(const struct testing *test)
{
    struct task *task = task_spawn("victim", sleep_with_wrong_flag, 0, NULL);

    testing_need(test, task && task_join(task, NULL) == JOIN_ENDED);
}

/* ---- what a CPU says of itself ---- */

static struct lock left;

static bool holds_nothing(void)
{
    return !cpu_this()->lock_depth && !left.holder;
}

/* As if the end of a lock's scope had turned interrupts on, and no more. */
static void lock_left(const struct testing *test)
{
    struct lock_guard held = lock_take(&left);

    cpu_interrupts_restore(held.rflags);
    testing_need(test, spin_until(holds_nothing));
}

static bool is_own(void)
{
    const struct task *task = cpu_task();

    return (uint64_t)__builtin_frame_address(0) - task->record->stack_virt < task->record->stack_bytes;
}

/* As if a switch had changed the stack only. */
static void other_task(const struct testing *test)
{
    struct task *task = task_new("victim", run_once, 0, NULL);

    testing_need(test, task && is_own());
    {
        GUARD(preempt) stay = scheduler_stay();
        cpu_this()->task = task;
        testing_need(test, !is_own() && spin_until(is_own));
    }
    scheduler_ready(task);
    testing_need(test, task_join(task, NULL) == JOIN_ENDED);
}

/* The same, and the next switch comes before the next tick: it saves the stack pointer of none but its own task. */
static void other_task_switches(const struct testing *test)
{
    OWN(task) struct task *task = task_new("victim", run_once, 0, NULL);
    testing_need(test, task);
    uint64_t rsp = task->rsp;
    {
        GUARD(interrupts) off = interrupts_off();
        cpu_this()->task = task;
        scheduler_yield();
        testing_need(test, is_own());
    }
    testing_need(test, task->rsp == rsp);
    scheduler_ready(task);
    testing_need(test, task_join(MOVE(task), NULL) == JOIN_ENDED);
}

static volatile uint64_t elsewhere[512];

static uint64_t self(void)
{
    uint64_t address;

    __asm__ volatile("mov %%gs:0, %0" : "=r"(address));
    return address;
}

/* What a CPU knows of itself is said to be elsewhere: the next interrupt knows better. Calls nothing meanwhile. */
static void other_cpu(const struct testing *test)
{
    uint64_t flags = cpu_interrupts_save(), right = self(), looks = 0;

    __asm__ volatile("mov %0, %%gs:0; sti" ::"r"((uint64_t)elsewhere) : "memory");
    while (self() != right && ++looks < UINT32_MAX)
        ;
    uint64_t found = self();
    __asm__ volatile("cli; mov %0, %%gs:0" ::"r"(right) : "memory");
    cpu_interrupts_restore(flags);
    testing_need(test, found == right);
}

/* Its CPU says that it has it, and its word that another one does. */
static void lock_of_nobody(const struct testing *test)
{
    static struct lock lock;
    struct lock_guard outer = lock_take(&lock);

    lock.holder = CPU_MAX + 1;
    {
        GUARD(lock) inner = lock_take(&lock);
        testing_need(test, lock_held(&lock));
    }
    testing_need(test, !lock.holder);
    lock.holder = cpu_this()->index + 1;
    lock_guard_end(&outer);
    testing_need(test, !lock.holder && !cpu_this()->lock_depth);
}

/* Nobody has it, and its word says that somebody does: all that locks stand on is looked at. */
static void corrupt_lock(const struct testing *test)
{
    static struct lock lock = {CPU_MAX + 1};
    uint64_t audits = counter(COUNTER_audits);

    {
        GUARD(lock) held = lock_take(&lock);
        testing_need(test, lock_held(&lock));
    }
    testing_need(test, !lock.holder && testing_await(counter(COUNTER_audits) > audits));
}

static uint32_t right_index;

static bool knows_itself(void)
{
    return cpu_this()->index == right_index;
}

static void trap_without_index(uint64_t)
{
    GUARD(interrupts) off = interrupts_off();

    cpu_this()->index += CPU_MAX * 40;
    __builtin_trap();
}

static void trap_without_record(uint64_t)
{
    GUARD(interrupts) off = interrupts_off();

    cpu_this()->record = (struct arena_cpu *)0xff0000000055bb40;
    __builtin_trap();
}

static void trap_without_stacks(uint64_t)
{
    GUARD(interrupts) off = interrupts_off();

    cpu_this()->fault_stack_ist = NULL;
    cpu_this()->fault_stack_low = NULL;
    __builtin_trap();
}

/* It says that it is another one, or that its record or its stacks are elsewhere: the next tick, or fault, knows
 * better. */
static void other_index(const struct testing *test)
{
    static void (*const traps[])(uint64_t) = {trap_without_index, trap_without_record, trap_without_stacks};

    {
        GUARD(preempt) stay = scheduler_stay();
        right_index = cpu_this()->index;
        cpu_this()->index = CPU_MAX - 1;
        testing_need(test, spin_until(knows_itself));
    }
    for (size_t i = 0; i < array_size(traps); i++)
        testing_need(test, run(traps[i]) == JOIN_FAILED);
    for (unsigned i = 0; i < cpu_count(); i++)
        testing_need(test, cpu_get(i)->index == i && cpu_get(i)->record->id == i && cpu_get(i)->fault_stack_low);
}

static uint64_t damaged_virt, damaged_word;

static void trap_with_damage(uint64_t)
{
    GUARD(interrupts) off = interrupts_off();

    *(uint64_t *)damaged_virt = damaged_word;
    __builtin_trap();
}

/* There are CPUs too many by their number, or by their list, or this one is not in it: all that asks each of them
 * fails. */
static void other_cpus(const struct testing *test)
{
    unsigned count = cpu_count();

    if (count > 1) /* the other CPUs would use the damaged data while this one recovers */
        return;
    damaged_virt = section_named(test, "cpu", ".bss.count")->virt;
    damaged_word = CPU_MAX;
    testing_need(test, run(trap_with_damage) == JOIN_FAILED);
    testing_need(test, testing_await(cpu_count() == count));
    damaged_virt = section_named(test, "cpu", ".bss.areas")->virt + count * sizeof(uint64_t);
    damaged_word = 0xff0000000055bb40;
    testing_need(test, run(trap_with_damage) == JOIN_FAILED);
    testing_need(test, testing_await(!cpu_get(count)));
    damaged_virt = section_named(test, "cpu", ".bss.areas")->virt;
    damaged_word = 0;
    testing_need(test, run(trap_with_damage) == JOIN_FAILED);
    testing_need(test, testing_await(cpu_get(0)));
}

/* ---- the descriptor tables of a CPU ---- */

static void spin(uint64_t)
{
    for (;;)
        cpu_relax();
}

static void spin_without_gdt(uint64_t)
{
    {
        GUARD(interrupts) off = interrupts_off();
        memset(&cpu_tables(cpu_this())->gdt, 0, sizeof(struct cpu_gdt));
    }
    spin(0);
}

static void trap_without_stacks_of_exceptions(uint64_t)
{
    GUARD(interrupts) off = interrupts_off();

    memset(cpu_tables(cpu_this())->tss.ist, 0, sizeof cpu_tables(cpu_this())->tss.ist);
    __builtin_trap();
}

/* A general protection fault finds no handler then. */
static void trap_without_ldt(uint64_t)
{
    GUARD(interrupts) off = interrupts_off();

    cpu_tables(cpu_this())->ldt = 0;
    *(volatile char *)(1ul << 63);
}

/* The next exception, or interrupt, meets them as they are. */
static void tables_zeroed(const struct testing *test)
{
    static void (*const traps[])(uint64_t) = {spin_without_gdt, trap_without_stacks_of_exceptions, trap_without_ldt};

    for (size_t i = 0; i < array_size(traps); i++)
        testing_need(test, run(traps[i]) == JOIN_FAILED);
    for (unsigned i = 0; i < cpu_count(); i++) {
        struct cpu_tables *tables = cpu_tables(cpu_get(i));
        const struct cpu_gdt gdt = cpu_right_gdt(tables);
        testing_need(test, memcmp(&tables->gdt, &gdt, sizeof gdt) == 0 && tables->ldt == CPU_CODE_DESCRIPTOR);
        testing_need(test, cpu_is_step(cpu_get(i), tables->tss.ist[0]) && tables->tss.ist[1] && tables->tss.ist[2]);
    }
}

/* ---- the entry of exceptions ---- */

#define RDMSR     0x320f
#define CLEAR_EAX 0xc031

/* Each exception, and so the last resort too, begins with an address for the CPU's own data that is none. */
static void damage_entry(uint64_t entry_phys)
{
    GUARD(interrupts) off = interrupts_off();
    const uint16_t clear = CLEAR_EAX;
    uint8_t *text = page_direct(entry_phys);
    uint16_t word = 0;

    for (memcpy(&word, text, sizeof word); word != RDMSR; memcpy(&word, text, sizeof word))
        text++;
    memcpy(text, &clear, sizeof clear);
    __builtin_trap();
}

static void entry_without_self(const struct testing *test)
{
    const struct arena_section *entry = section_named(test, "exception", ".text.exception_dispatch");
    struct task *task;

    if (cpu_count() > 1) /* others would lose the task that they run */
        return;
    testing_need(test, (task = task_spawn("victim", damage_entry, entry->phys, NULL)));
    testing_need(test, task_join(task, NULL) == JOIN_FAILED);
}

/* ---- an idle task ---- */

static struct task *idle;

static void find_idle(struct task *task, void *)
{
    if (task->immortal && task->pinned == cpu_this()->index + 1)
        idle = task;
}

static uint64_t idle_switches;

static bool has_idled(void)
{
    return idle->record->switches > idle_switches;
}

/* It runs though there is something else to do. */
static void unwound_idle(const struct testing *test)
{
    {
        GUARD(preempt) stay = scheduler_stay();
        task_each(find_idle, NULL);
        testing_need(test, idle && !run_queue_has(&idle->run_queue));
        GUARD(park) parked = park_all();
        idle_switches = idle->record->switches;
        idle->record->state = TASK_UNWINDING;
        scheduler_rebuild();
        testing_need(test, run_queue_has(&idle->run_queue));
    }
    bool idled = spin_until(has_idled);
    idle->record->state = TASK_RUNNABLE;
    testing_need(test, idled);
}

/* ---- queues of waiting tasks ---- */

static struct {
    struct lock lock;
    struct wait_queue queue;
} waiting;

static void wait_shortly(uint64_t)
{
    GUARD(lock) held = lock_take(&waiting.lock);

    (void)wait_queue_wait(&waiting.queue, &held, REST_NS);
}

static void wait_for(uint64_t ns)
{
    GUARD(lock) held = lock_take(&waiting.lock);

    (void)wait_queue_wait(&waiting.queue, &held, ns);
}

/* A task that waits in the queue. Queues are made again after a fault, which may wake it early: then another one. */
static struct task *spawn_waiting(const struct testing *test, uint64_t ns)
{
    for (;;) {
        OWN(task) struct task *task = task_spawn("victim", wait_for, ns, NULL);
        testing_need(test, task);
        const uint32_t *state = &task->record->state;
        testing_need(test, testing_await(*state == TASK_EXITED || (*state == TASK_BLOCKED && !task->on_cpu)));
        if (*state == TASK_BLOCKED)
            return MOVE(task);
        testing_need(test, task_join(MOVE(task), NULL) == JOIN_ENDED);
    }
}

static void wake_it(uint64_t)
{
    (void)wait_queue_wake_one(&waiting.queue);
}

/* A queue in which nobody is says that somebody is: that is noticed once, and then it is empty. */
static void stranger(const struct testing *test)
{
    static void (*const users[])(uint64_t) = {wait_shortly, wake_it};

    for (size_t i = 0; i < array_size(users); i++) {
        waiting.queue.first = task_this();
        waiting.queue.last = i ? task_this() : NULL;
        testing_need(test, run(users[i]) == JOIN_FAILED);
        testing_need(test, !waiting.queue.first && !waiting.queue.last);
        testing_need(test, run(users[i]) == JOIN_ENDED);
    }
}

/* At the address that a queue has there is nothing: that is noticed once, too. */
static void nothing_there(const struct testing *test)
{
    static void (*const users[])(uint64_t) = {wait_shortly, wake_it};

    for (size_t i = 0; i < array_size(users); i++) {
        waiting.queue.first = waiting.queue.last = (struct task *)8;
        testing_need(test, run(users[i]) == JOIN_FAILED);
        testing_need(test, run(users[i]) == JOIN_ENDED);
    }
}

/* It says that it waits where nothing is: it looks again, and the queues are made again all the same. */
static void waits_nowhere(const struct testing *test)
{
    OWN(task) struct task *task = spawn_waiting(test, SOME_NS);

    task->wait_queue.queue = (struct wait_queue *)8;
    testing_need(test, run(wake_it) == JOIN_FAILED);
    testing_need(test, task_join(MOVE(task), NULL) != JOIN_SELF);
    testing_need(test, run(wait_shortly) == JOIN_ENDED);
}

/* A task that is being unwound, and was preempted, waits for nothing, though its record says where it has waited. */
static void unwound(const struct testing *test)
{
    OWN(task) struct task *task = task_spawn("victim", wait_for, LONG_NS, NULL);
    uint32_t state = TASK_FREE;

    testing_need(test, task && testing_await(wait_queue_has(&task->wait_queue)));
    {
        GUARD(park) parked = park_all();
        uint32_t before = task->record->state;
        task->record->state = TASK_UNWINDING;
        scheduler_rebuild();
        state = task->record->state;
        task->record->state = before == TASK_BLOCKED ? TASK_RUNNABLE : before;
    }
    testing_need(test, state == TASK_UNWINDING && task_join(MOVE(task), NULL) == JOIN_ENDED);
}

/* It cannot go on, so that it fails, as soon as the queues are made again. */
static void lost_stack_pointer(const struct testing *test)
{
    OWN(task) struct task *task = spawn_waiting(test, LONG_NS);

    {
        GUARD(park) parked = park_all();
        task->rsp = task->record->saved_rsp = task_this()->record->stack_virt + TASK_STACK_BYTES / 2;
        scheduler_rebuild();
    }
    testing_need(test, task_join(MOVE(task), NULL) == JOIN_FAILED);
}

#define NO_STATE 4711

static void no_state(const struct testing *test)
{
    OWN(task) struct task *task = spawn_waiting(test, LONG_NS);

    task->record->state = NO_STATE;
    testing_need(test, task_join(MOVE(task), NULL) == JOIN_ENDED);
}

/* Nobody finds it any more, since nothing says where it is. */
static void not_listed(const struct testing *test)
{
    const struct arena_section *by_record = section_named(test, "task", ".bss.by_record");
    struct task *task = spawn_waiting(test, LONG_NS);
    struct task **place = (struct task **)by_record->virt + task->ref.index;

    testing_need(test, *place == task);
    {
        GUARD(park) parked = park_all();
        *place = NULL;
        scheduler_rebuild();
    }
    testing_need(test, *place == task);
    wake_it(0);
    testing_need(test, task_join(task, NULL) == JOIN_ENDED);
}

static void damaged_record(const struct testing *test)
{
    struct task *task = spawn_waiting(test, LONG_NS);
    struct arena_task *record = task->record, before = *record;

    testing_need(test, arena_sound(task->ref));
    {
        GUARD(park) parked = park_all();
        record->argument = record->stack_virt = record->stack_phys = record->entry_offset = 4711;
        record->stack_bytes = 0;
        record->entry_section.index = record->namespace_.index = UINT32_MAX;
        scheduler_rebuild();
    }
    testing_need(test, arena_sound(task->ref) && record->stack_virt == before.stack_virt &&
                           record->stack_bytes == before.stack_bytes);
    wake_it(0);
    testing_need(test, task_join(task, NULL) == JOIN_ENDED);
}

static void damaged_functions(const struct testing *test)
{
    struct task *task = spawn_waiting(test, LONG_NS);
    struct task_functions before = task->functions;

    {
        GUARD(park) parked = park_all();
        task->functions.entry.section.index = UINT32_MAX;
        task->functions.ended = (struct task_function){.section = {UINT32_MAX}, .offset = 4711};
        scheduler_rebuild();
    }
    testing_need(test, same(task->functions.entry.section, before.entry.section) &&
                           task->functions.entry.offset == before.entry.offset && !task->functions.ended.section.index);
    {
        GUARD(park) parked = park_all();
        task->functions.entry.address = 4711;
        scheduler_rebuild();
    }
    testing_need(test, task->functions.entry.address == before.entry.address);
    wake_it(0);
    testing_need(test, task_join(task, NULL) == JOIN_ENDED);
}

/* ---- memory ---- */

/* Frames are miscounted: nobody ends for it. */
static void miscounted(const struct testing *test)
{
    static const struct {
        const char *datum;
        uint64_t word;
    } wrong[] = {{".bss.free_frames", 0}, {".bss.total_frames", UINT64_MAX}, {".bss.lowest_word", UINT32_MAX}};

    for (size_t i = 0; i < array_size(wrong); i++) {
        uint64_t virt = section_named(test, "frame", wrong[i].datum)->virt, before = faults();
        {
            GUARD(park) parked = park_all();
            *(uint64_t *)virt = wrong[i].word;
        }
        OWN(mapped_pages) struct mapped_pages *page = reclaim_map(1, PAGE_WRITE);
        testing_need(test, page && *(uint64_t *)virt != wrong[i].word && faults() == before);
    }
}

/* ---- faults ---- */

/* A record that no task closes, since none has failed. */
static bool is_open(uint64_t seq)
{
    return fault_record(seq) && fault_record(seq)->outcome == FAULT_OUTCOME_OPEN;
}

static void record_stays_open(const struct testing *test)
{
    const struct fault_damage damage = {.place = "nothing", .message = "left open"};
    uint64_t audits = counter(COUNTER_audits);

    fault_log_damage(&damage);
    uint64_t seq = faults();
    struct arena_fault *fault = fault_record(seq);
    testing_need(test, fault);
    fault->action = FAULT_ACTION_NONE;
    fault->outcome = FAULT_OUTCOME_OPEN;
    testing_need(test, testing_await(counter(COUNTER_audits) > audits) && testing_await(!is_open(seq)));
}

static const struct lost_case {
    void (*check)(const struct testing *test);
    const char *property;
} cases[] = {
    {queues_emptied, "a task that could run and is in no queue runs"},
    {sleepers_forgotten, "tasks that the list of sleepers has lost wake"},
    {without_time_out, "a task that nobody would wake wakes"},
    {not_taken_down, "a task that has ended unheard is taken down"},
    {no_place, "a task that has run last where there is no CPU runs"},
    {queued_unheard, "a task that is in a queue, and says that it is not, is noticed"},
    {wrong_flag, "a task whose flag has a wrong bit wakes"},
    {lock_left, "a lock that is held with interrupts on is let go"},
    {other_task, "a CPU that says that it runs another task knows again which one"},
    {other_task_switches, "so does one that switches first"},
    {other_cpu, "a CPU whose data are said to be elsewhere finds them"},
    {lock_of_nobody, "a lock that a CPU has, of which its word names another one, is taken"},
    {corrupt_lock, "after a lock whose word was corrupt everything is looked at"},
    {other_index, "a CPU that knows other things of itself than before knows the right ones again"},
    {other_cpus, "how many CPUs there are, and which, is known again"},
    {tables_zeroed, "a CPU whose GDT, LDT or TSS was zeroed has them again after the next fault"},
    {entry_without_self, "the last resort finds the CPU's own data though the way to it does not"},
    {miscounted, "memory that seems to be out, since frames are miscounted, is there"},
    {unwound_idle, "an idle task that is being unwound runs though others want to"},
    {stranger, "a task that is in no queue is not in one because the queue says so"},
    {nothing_there, "nor is there one where there is nothing"},
    {waits_nowhere, "a task that waits where nothing is costs no more than one fault"},
    {unwound, "a task that is being unwound stays one when the queues are made again"},
    {lost_stack_pointer, "a task whose stack pointer is lost fails"},
    {not_listed, "a task that is not in the list of all is found"},
    {damaged_record, "the record of a task has again what the task says of itself"},
    {damaged_functions, "a function has its address by its section, or its section by its address"},
    {no_state, "a task in a state that there is not runs"},
    {record_stays_open, "the queues are made again when a fault is not closed, and it is closed when nobody else does"},
};

static int test_lost_main(int, char **)
{
    queues_emptied(&(struct testing){.name = "test_lost"}); /* what is kept from now on */
    struct testing test = testing_begin("test_lost");

    for (size_t i = 0; i < array_size(cases); i++) {
        cases[i].check(&test);
        testing_ok(&test, cases[i].property);
    }
    testing_end(&test);
}
MAIN(test_lost_main);
