/* See task.h. Makes tasks, ends them, and takes them down in the teardown task.
 * A task is in by_record exactly while its record is in use. It is freed with its last reference; the task holds one
 * itself, until the teardown task has taken it down. */
#include "cells/task/task/task.h"
#include "cells/core/arena/arena.h"
#include "cells/core/cpu/cpu.h"
#include "cells/core/edge/edge.h"
#include "cells/core/panic/panic.h"
#include "cells/lib/string/string.h"
#include "cells/memory/heap/heap.h"
#include "cells/memory/reclaim/reclaim.h"
#include "cells/task/scheduler/scheduler.h"
#include "cells/task/simd/simd.h"
#include "cells/task/task/repair.h"

CELL("task", KERNEL, 1);
FOUNDATION();
EXPORT(task_spawn, APPLICATION);
EXPORT(task_new, KERNEL);
EXPORT(task_put, APPLICATION);
EXPORT(task_join, APPLICATION);
EXPORT(task_this, APPLICATION);
EXPORT(task_exit, APPLICATION);
EXPORT(task_fail, KERNEL);
EXPORT(task_switch, KERNEL);
TYPED(task_switch);
EXPORT(task_frame, KERNEL);
EXPORT(task_each, KERNEL);
EXPORT(task_mend_all, KERNEL);
EXPORT(task_mend_this, KERNEL);
EXPORT(task_restart_after, KERNEL);
EXPORT(task_bind_failed, KERNEL);
EXPORT(task_bind_idle, KERNEL);

#define TEARDOWN_IDLE_NS 50000000 /* between two calls of what is bound with task_bind_idle */
#define ROUNDS_MAX       8        /* of one task, ended by faults of the teardown task */
#define TRIES_MAX        3        /* calls of restart_failed for one task: it may fault itself */

/* switch.S */
_Static_assert(offsetof(struct task, rsp) == 0 && offsetof(struct task, on_cpu) == 8);
_Static_assert(offsetof(struct task, record) == 16 && offsetof(struct arena_task, saved_rsp) == 104);
_Static_assert(offsetof(struct task, simd.enabled) == 24);

void task_first(void);
void task_switch_plain(struct task *from, struct task *to); /* task_switch, for a `from` without SIMD state */
void task_switch_simd(struct task *from, struct task *to);
_Noreturn void task_begin(void);

static struct lock all_lock;
static struct task *by_record[ARENA_TASKS_MAX] GUARDED_BY(all_lock);
static struct task *by_record_copy[ARENA_TASKS_MAX] GUARDED_BY(all_lock); /* for repairs */
static uint32_t last_id;                                                  /* atomic */

/* In the heap: the teardown task sleeps in there while a swap moves this cell's static data. */
struct teardown {
    struct lock lock;
    struct wait_queue work;
    struct task *first;   /* under lock: ended tasks */
    struct task *current; /* being taken down; taken up again when a fault has restarted the task */
    unsigned tries;       /* calls of restart_failed for `current` */
    bool restarted;       /* `current` is ready to run again: only this is left to be noted */
    unsigned rounds;      /* how often it has been taken up again */
    struct task *task;
};
static struct teardown *teardown;
SET_ONCE(teardown);

static bool (*restart_failed_hook)(struct task *task);
static void (*teardown_idle_hook)(void);

/* ---- functions as section and offset ---- */

struct task_function task_function_at(uint64_t address)
{
    struct section_ref section = arena_section_at(address);
    uint32_t offset = section.index ? (uint32_t)(address - arena_section(section)->virt) : 0;

    return (struct task_function){section, offset, address};
}

static void (*function_at(struct task_function function))(uint64_t)
{
    if (function.section.index)
        function.address = arena_section(function.section)->virt + function.offset;
    return (void (*)(uint64_t))function.address;
}

/* ---- making a task ---- */

/* The one that is asked for, else that of who makes the task. None: there is no such namespace. */
static struct namespace_ref choose_namespace(const struct task_options *options)
{
    const struct task *maker = task_this();

    if (options->namespace_.index)
        return arena_sound(options->namespace_) && arena_namespace(options->namespace_)->state == NAMESPACE_LIVE
                   ? options->namespace_
                   : NO_NAMESPACE;
    return maker ? maker->record->namespace_ : NAMESPACE_ROOT;
}

static bool saves_simd(struct namespace_ref namespace_)
{
    return arena_sound(namespace_) && arena_namespace(namespace_)->flags & NAMESPACE_SIMD;
}

static void fill_record(struct task *task, const char *name, struct task_function entry,
                        struct namespace_ref namespace_, const struct task_options *options) NEEDS(arena_writer)
{
    struct arena_task *record = task->record;

    record->id = task->id;
    record->restartable = options->restartable;
    string_copy(record->name, name, sizeof record->name);
    record->entry_section = entry.section;
    record->entry_offset = entry.offset;
    record->argument = task->life.argument;
    record->stack_virt = (uint64_t)page_start(task->life.stack);
    record->stack_phys = page_phys(task->life.stack);
    record->stack_bytes = TASK_STACK_BYTES;
    record->namespace_ = namespace_;
    record->state = TASK_NEW;
    arena_seal(task->ref);
}

/* False: no such namespace, or no free record. */
static bool make_record(struct task *task, const char *name, uint64_t entry, const struct task_options *options)
{
    GUARD(arena) change = arena_change();
    struct namespace_ref namespace_ = choose_namespace(options);

    task->ref.index = namespace_.index ? arena_new(ARENA_TASKS) : 0;
    if (!task->ref.index)
        return false;
    task->record = arena_task(task->ref);
    task->functions.entry = task_function_at(entry);
    task->pinned = options->pinned ? options->pinned : arena_namespace(namespace_)->cpu;
    if (!repair_is_pin(task->pinned))
        task->pinned = 0;
    task->simd.enabled = saves_simd(namespace_);
    fill_record(task, name, task->functions.entry, namespace_, options);
    return true;
}

/* Fills the stack as task_switch leaves it, so that the task starts in task_first. */
static void prepare_stack(struct task *task)
{
    uint8_t *top = (uint8_t *)page_start(task->life.stack) + TASK_STACK_BYTES;
    struct task_saved *saved = (struct task_saved *)top - 1;

    *saved = (struct task_saved){.rip = (uint64_t)task_first};
    task->rsp = (uint64_t)saved;
    task->record->saved_rsp = task->rsp;
    task->calls = NULL;
    promise_forget(&task->promise);
}

static void publish_task(struct task *task)
{
    GUARD(lock) held = lock_take(&all_lock);
    by_record[task->ref.index] = by_record_copy[task->ref.index] = task;
}

/* Whoever looks for tasks that are to end either finds this one, or has asked its maker before. */
static void inherit_end(struct task *task)
{
    const struct task *maker = task_this();

    if (maker && __atomic_load_n(&maker->killed, __ATOMIC_SEQ_CST) && !task->immortal)
        __atomic_store_n(&task->killed, true, __ATOMIC_SEQ_CST);
}

static struct task *make_task(const char *name, void (*entry)(uint64_t argument), uint64_t argument,
                              const struct task_options *options)
{
    static const struct task_options defaults;
    OWN(mapped_pages) struct mapped_pages *stack = reclaim_map(TASK_STACK_BYTES, PAGE_WRITE);
    OWN(task) struct task *task = stack ? heap_alloc(sizeof *task) : NULL;

    if (!task)
        return NULL;
    if (!options)
        options = &defaults;
    task->life.references = 1;
    task->life.stack = MOVE(stack);
    task->life.argument = argument;
    task->id = __atomic_add_fetch(&last_id, 1, __ATOMIC_RELAXED);
    task->immortal = options->immortal;
    run_queue_start_at(&task->run_queue, cpu_this()->index);
    if (options->ended)
        task->functions.ended = task_function_at((uint64_t)options->ended);
    if (!make_record(task, name, (uint64_t)entry, options))
        return NULL;
    prepare_stack(task);
    publish_task(task);
    inherit_end(task);
    arena_count(COUNTER_spawns, 1);
    arena_event(EVENT_TASK_SPAWNED, task->ref.index, task->id, name);
    task->life.references++; /* its own, which the teardown task gives back */
    return MOVE(task);
}

struct task *task_new(const char *name, void (*entry)(uint64_t argument), uint64_t argument,
                      const struct task_options *options)
{
    return make_task(name, entry, argument, options);
}

struct task *task_spawn(const char *name, void (*entry)(uint64_t argument), uint64_t argument,
                        const struct task_options *options)
{
    struct task *task = make_task(name, entry, argument, options);

    if (task)
        scheduler_ready(task);
    return task;
}

static void release_record(struct task *task)
{
    {
        GUARD(lock) held = lock_take(&all_lock);
        by_record[task->ref.index] = by_record_copy[task->ref.index] = NULL;
    }
    GUARD(arena) change = arena_change();
    arena_free(task->ref);
}

/* For the analyzer task_put frees the task; up to the last reference, and in these functions, it is still there. */
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wanalyzer-use-after-free"

static void free_task(struct task *task)
{
    if (task->ref.index)
        release_record(task);
    mapped_pages_put(task->life.stack);
    task->functions = (struct task_functions){}; /* an address in a free block would keep its cell in memory */
    heap_free(task);
}

/* True: it was the last reference. Counted under the lock: who gives the last one back knows that nobody else uses
 * the lock any more. */
static bool drop_task_reference(struct task *task)
{
    GUARD(lock) held = lock_take(&task->life.lock);
    return --task->life.references == 0;
}

void task_put(struct task *task)
{
    if (task && drop_task_reference(task))
        free_task(task);
}

#pragma GCC diagnostic pop

/* ---- life and end ---- */

struct task *task_this(void)
{
    return cpu_task();
}

/* Called instead of the rest of task_switch when `from` has SIMD state. The scheduler has set the CPU's task to
 * `to`; until the state is saved it is `from` again, since a fault here is a fault of `from`. */
void task_switch_simd(struct task *from, struct task *to)
{
    struct cpu *cpu = cpu_this();
    struct simd_state state;

    cpu->task = from;
    simd_save(&from->simd, &state);
    if (!to->simd.enabled)
        simd_forbid();
    cpu->task = to;
    task_switch_plain(from, to);
    simd_restore(&from->simd);
}

/* The first C function of every task. */
_Noreturn void task_begin(void)
{
    struct task *task = task_this();

    simd_begin(&task->simd);
    __asm__ volatile("sti" ::: "memory");
    uint64_t wait_ns = __atomic_exchange_n(&task->life.restart_after_ns, 0, __ATOMIC_RELAXED);
    if (wait_ns)
        scheduler_sleep_ns(wait_ns);
    function_at(task->functions.entry)(task->life.argument);
    task_exit(0);
}

/* Does nothing for a task that the teardown task has already: one that faults while it ends comes here twice. A single
 * store puts the task on the list, so that a fault leaves it either on or off. */
static void hand_over(struct task *task) NEEDS(teardown->lock)
{
    struct task **link = &teardown->first;

    while (*link && *link != task)
        link = &(*link)->life.next_ended;
    if (*link || task == teardown->current)
        return;
    task->life.next_ended = NULL;
    *link = task;
}

/* Hands the running task to the teardown task, which waits until no CPU uses its stack. */
static _Noreturn void leave(enum task_state state)
{
    GUARD(interrupts) off = interrupts_off();
    struct task *task = task_this();

    task->record->state = state;
    {
        GUARD(lock) held = lock_take(&teardown->lock);
        hand_over(task);
        wait_queue_wake_one(&teardown->work);
    }
    for (;;)
        scheduler_block(); /* returns if a fault has left the task in a run queue */
}

void task_exit(int32_t exit_code)
{
    struct task *task = task_this();

    task->life.exit_code = exit_code;
    task->record->exit_code = exit_code;
    arena_event(EVENT_TASK_EXITED, task->ref.index, (uint64_t)(int64_t)exit_code, task->record->name);
    leave(TASK_EXITED);
}

void task_fail(void)
{
    struct task *task = task_this();

    arena_event(task->killed ? EVENT_TASK_KILLED : EVENT_TASK_FAILED, task->ref.index, task->id, task->record->name);
    memset(&task->unwind, 0, sizeof task->unwind);
    task->calls = NULL;
    if (!task->immortal) {
        task->life.failed = true;
        leave(TASK_FAILED);
    }
    task->record->restarts++;
    task->record->state = TASK_RUNNING;
    task_begin();
}

enum join task_join(struct task *taken, int32_t *ret_exit_code)
{
    OWN(task) struct task *task = taken;

    if (task == task_this())
        return JOIN_SELF;
    GUARD(lock) held = lock_take(&task->life.lock);
    while (!task->life.finished)
        (void)wait_queue_wait(&task->life.done, &held, 0);
    if (task->life.failed)
        return task->killed ? JOIN_KILLED : JOIN_FAILED;
    if (ret_exit_code)
        *ret_exit_code = task->life.exit_code;
    return JOIN_ENDED;
}

/* ---- teardown ---- */

/* Whichever instruction fails in here, the task is queued once: from the moment that its record says that it may run,
 * an audit finds it (scheduler_rebuild). */
static void restart(struct teardown *self, struct task *task)
{
    bool runs = self->restarted && task->record->state != TASK_FAILED;

    if (!self->restarted) {
        prepare_stack(task);
        task->record->restarts++;
        arena_count(COUNTER_restarts, 1);
        arena_event(EVENT_TASK_RESTARTED, task->ref.index, task->record->restarts, task->record->name);
    }
    __atomic_store_n(&self->restarted, true, __ATOMIC_SEQ_CST);
    task->life.failed = false;
    if (!runs)
        __atomic_store_n(&task->record->state, TASK_RUNNABLE, __ATOMIC_SEQ_CST);
    __atomic_store_n(&self->current, NULL, __ATOMIC_SEQ_CST);
    if (!runs)
        scheduler_ready(task);
}

static void release_stack(struct task *task)
{
    {
        GUARD(arena) change = arena_change();
        task->record->stack_virt = task->record->stack_phys = task->record->stack_bytes = 0;
        arena_seal(task->ref);
    }
    mapped_pages_put(MOVE(task->life.stack));
}

/* The last step, which wakes who joins. True: there is no other reference, and the caller frees the task. */
static bool finish_task(struct teardown *self, struct task *task)
{
    GUARD(lock) held = lock_take(&task->life.lock);

    task->life.finished = true;
    (void)wait_queue_wake_all(&task->life.done);
    self->current = NULL;
    return --task->life.references == 0;
}

/* Whether no CPU uses the stack or can come to use it: an ended task may be in a run queue again, after a fault
 * while it ended. It has left when it is seen off the CPU twice, in no queue in between, and has not been switched
 * to meanwhile. */
static bool has_left(const struct task *task)
{
    uint64_t switches = __atomic_load_n(&task->record->switches, __ATOMIC_ACQUIRE);

    return !__atomic_load_n(&task->on_cpu, __ATOMIC_ACQUIRE) && !run_queue_has(&task->run_queue) &&
           !__atomic_load_n(&task->on_cpu, __ATOMIC_ACQUIRE) &&
           __atomic_load_n(&task->record->switches, __ATOMIC_RELAXED) == switches;
}

/* Records each finished step in the task, so that a restarted teardown task continues behind it after a fault. */
static void take_down(struct teardown *self, struct task *task)
{
    while (!has_left(task))
        scheduler_yield();
    if (self->restarted ||
        (task->life.failed && restart_failed_hook && self->tries++ < TRIES_MAX && restart_failed_hook(task))) {
        restart(self, task);
        return;
    }
    struct task_function ended = task->functions.ended;
    task->functions.ended = (struct task_function){0};
    task->functions.main = (struct task_function){0};
    if (ended.address)
        function_at(ended)(task->life.argument);
    if (task->life.stack)
        release_stack(task);
    if (finish_task(self, task))
        free_task(task);
}

/* The next ended task, or the one that a fault of the teardown task has interrupted. NULL: none within
 * TEARDOWN_IDLE_NS. */
static struct task *next_ended(struct teardown *self)
{
    GUARD(lock) held = lock_take(&self->lock);

    if (self->current && ++self->rounds > ROUNDS_MAX)
        self->current = NULL; /* it cannot be taken down: it is left as it is */
    if (!self->current) {
        self->rounds = 0;
        if (!self->first)
            (void)wait_queue_wait(&self->work, &held, TEARDOWN_IDLE_NS);
        self->tries = 0;
        self->restarted = false;
        self->current = self->first;
    }
    struct task *task = self->current;
    if (!task || task != self->first) /* taken off the list before the fault */
        return task;
    self->first = task->life.next_ended;
    task->life.next_ended = NULL;
    return task;
}

/* Nobody else waits there: what the queue says, a fault has left. */
static void empty_own_queue(struct teardown *self)
{
    GUARD(lock) held = lock_take(&self->lock);
    self->work = (struct wait_queue){};
}

static void teardown_run(uint64_t argument)
{
    struct teardown *self = (struct teardown *)argument;
    uint64_t next_idle_ns = 0;

    empty_own_queue(self);
    for (;;) {
        struct task *task = next_ended(self);
        if (task)
            take_down(self, task);
        uint64_t late_ns = task ? TEARDOWN_IDLE_NS : 0; /* what has been restarted goes first */
        if (teardown_idle_hook && cpu_ns() >= next_idle_ns + late_ns) {
            teardown_idle_hook();
            next_idle_ns = cpu_ns() + TEARDOWN_IDLE_NS;
        }
    }
}

static enum err task_init(void)
{
    if (teardown)
        return ERR_OK;
    teardown = heap_alloc(sizeof *teardown);
    if (!teardown)
        return ERR_NOMEM;
    teardown->task = make_task("teardown", teardown_run, (uint64_t)teardown, &(struct task_options){.immortal = true});
    if (!teardown->task)
        return ERR_NOMEM;
    scheduler_ready(teardown->task);
    return ERR_OK;
}
INIT(task_init);

enum err task_bind_failed(bool (*restart_failed)(struct task *task))
{
    return edge_bind(&restart_failed_hook, restart_failed);
}

void task_restart_after(struct task *task, uint64_t ns)
{
    __atomic_store_n(&task->life.restart_after_ns, ns, __ATOMIC_RELAXED);
}

enum err task_bind_idle(void (*idle)(void))
{
    return edge_bind(&teardown_idle_hook, idle);
}

/* ---- for stack scans ---- */

void task_frame(const struct task *task, struct trap_frame *ret_frame)
{
    *ret_frame = task_saved_frame((const struct task_saved *)task->rsp);
}

/* No record from here on has been used. */
static uint32_t records_end(void)
{
    uint32_t used = arena_header()->table[ARENA_TASKS].used;

    return used < ARENA_TASKS_MAX ? used : ARENA_TASKS_MAX;
}

void task_each(void (*visit)(struct task *task, void *context), void *context)
{
    GUARD(lock) held = lock_take(&all_lock);
    uint32_t end = records_end();

    for (uint32_t i = 1; i < end; i++)
        if (by_record[i])
            visit(by_record[i], context);
}

/* ---- after a fault ---- */

/* Whether `rsp` is on the stack of that record, which may be empty. */
static bool is_stack_of(uint32_t i, uint64_t rsp)
{
    const struct arena_task *record = arena_task((struct task_ref){i});

    return rsp - 1 - record->stack_virt < record->stack_bytes;
}

/* The task on whose stack `rsp` is. NULL: there is none. */
UNCHECKED static struct task *find_task(uint64_t rsp)
{
    for (uint32_t i = 1, end = records_end(); i < end; i++)
        if (by_record[i] && is_stack_of(i, rsp))
            return by_record[i];
    return NULL;
}

/* The index of its record. 0: it is no task. */
UNCHECKED static uint32_t index_of(const struct task *task)
{
    for (uint32_t i = 1, end = records_end(); i < end; i++)
        if (by_record[i] == task)
            return i;
    return 0;
}

UNCHECKED static struct task *recorded_task(const struct arena_cpu *cpu)
{
    return cpu && cpu->current_task.index < ARENA_TASKS_MAX ? by_record[cpu->current_task.index] : NULL;
}

/* A fault may have come between the note which task runs and the switch to its stack, or have kept one of the two from
 * being done. */
bool task_mend_this(uint64_t rsp)
{
    struct cpu *cpu = cpu_this();
    struct task *task = cpu->task;
    uint32_t index = task ? index_of(task) : 0;

    if (!task || (index && is_stack_of(index, rsp)))
        return false;
    struct task *right = find_task(rsp);
    if (!right)
        right = index ? task : recorded_task(cpu->record);
    cpu->task = right;
    if (right && cpu->record)
        cpu->record->current_task = right->ref;
    return right != task;
}

/* A task that has ended, and may be on nobody's list. */
UNCHECKED static void hand_over_again(struct task *task)
{
    uint32_t state = task->record->state;

    if ((state == TASK_EXITED || state == TASK_FAILED) && !task->life.finished && !cpu_running(task) && teardown)
        hand_over(task);
}

UNCHECKED unsigned task_mend_all(void)
{
    unsigned mended = 0;

    by_record[0] = NULL;
    for (uint32_t i = 1, end = records_end(); i < end; i++) {
        if (!by_record[i] && !by_record_copy[i])
            continue;
        struct task *task = repair_pointer(by_record[i], by_record_copy[i], i);
        mended += task != by_record[i];
        by_record[i] = by_record_copy[i] = task;
        if (!task)
            continue;
        mended += repair_task(task, i);
        hand_over_again(task);
    }
    return mended;
}
