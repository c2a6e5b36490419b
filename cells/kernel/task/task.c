/* See task.h. Makes tasks, ends them, and takes them down in the reaper. */
#include "cells/kernel/task/task.h"
#include "cells/kernel/arena/arena.h"
#include "cells/kernel/cpu/cpu.h"
#include "cells/kernel/heap/heap.h"
#include "cells/kernel/loader/loader.h"
#include "cells/kernel/page/page.h"
#include "cells/kernel/panic/panic.h"
#include "cells/kernel/scheduler/scheduler.h"
#include "cells/kernel/simd/simd.h"
#include "cells/lib/string/string.h"

CELL("task", KERNEL, 1);
EXPORT(task_spawn, APPLICATION);
EXPORT(task_new, KERNEL);
EXPORT(task_put, APPLICATION);
EXPORT(task_join, APPLICATION);
EXPORT(task_this, APPLICATION);
EXPORT(task_exit, APPLICATION);
EXPORT(task_fail, KERNEL);
EXPORT(task_switch, KERNEL);
EXPORT(task_begin_simd, KERNEL);
EXPORT(task_save_simd, KERNEL);
EXPORT(task_resume_simd, KERNEL);
EXPORT(task_frame, KERNEL);
EXPORT(task_each, KERNEL);
EXPORT(task_bind_failed, KERNEL);
EXPORT(task_bind_idle, KERNEL);

#define REAPER_IDLE_NS 50000000 /* between two calls of what is bound with task_bind_idle */
#define TRIES_MAX      3        /* to hear whether a failed task is to begin anew */

/* switch.S */
_Static_assert(offsetof(struct task, rsp) == 0 && offsetof(struct task, on_cpu) == 8);
_Static_assert(offsetof(struct task, record) == 16 && offsetof(struct arena_task, saved_rsp) == 104);
_Static_assert(offsetof(struct task, simd) == 24);

void task_first(void);
void task_switch_plain(struct task *from, struct task *to); /* task_switch, for a `from` without SIMD state */
void task_switch_simd(struct task *from, struct task *to);
_Noreturn void task_begin(void);

static struct {
    struct lock lock;
    struct task *by_record[ARENA_TASKS_MAX];
    uint32_t last_id;
} all;

/* In the heap: the reaper stays in there while a swap moves this cell's static data. */
struct reaper {
    struct lock lock;
    struct wait_queue work;
    struct task *first;
    struct task *current; /* being taken down; gone on with when the reaper begins anew */
    unsigned tries;
    struct task *task;
};
static struct reaper *reaper;

static bool (*failed_again)(struct task *task);
static void (*idle_call)(void);

/* ---- functions as section and offset ---- */

static struct task_function function_of(uint64_t address)
{
    uint32_t section = arena_section_at(address);

    return (struct task_function){section, section ? (uint32_t)(address - arena_section(section)->virt) : 0, address};
}

static void (*function_at(struct task_function function))(uint64_t)
{
    if (function.section)
        function.address = arena_section(function.section)->virt + function.offset;
    return (void (*)(uint64_t))function.address;
}

/* ---- the making of a task ---- */

/* That of whoever makes the task, if none is asked for; 0: there is no such one. */
static uint32_t choose_namespace(const struct task_options *options)
{
    const struct task *maker = task_this();

    if (options->namespace_)
        return arena_sound(ARENA_NAMESPACES, options->namespace_) &&
                       arena_namespace(options->namespace_)->state == NAMESPACE_LIVE
                   ? options->namespace_
                   : 0;
    return maker ? maker->record->namespace_ : NAMESPACE_ROOT;
}

static bool saves_simd(uint32_t namespace_)
{
    return arena_sound(ARENA_NAMESPACES, namespace_) && arena_namespace(namespace_)->flags & NAMESPACE_SIMD;
}

static void fill_record(struct task *task, const char *name, struct task_function entry, uint32_t namespace_,
                        const struct task_options *options) NEEDS(arena_writer)
{
    struct arena_task *record = task->record;

    record->id = task->id;
    record->restartable = options->restartable;
    string_copy(record->name, name, sizeof record->name);
    record->entry_section = entry.section;
    record->entry_offset = entry.offset;
    record->argument = task->argument;
    record->stack_virt = (uint64_t)page_start(task->stack);
    record->stack_phys = page_phys(task->stack);
    record->stack_bytes = TASK_STACK_BYTES;
    record->namespace_ = namespace_;
    record->state = TASK_RUNNABLE;
    arena_seal(ARENA_TASKS, task->index);
}

static bool enter(struct task *task, const char *name, uint64_t entry, const struct task_options *options)
{
    GUARD(arena) change = arena_change();
    uint32_t namespace_ = choose_namespace(options);

    task->index = namespace_ ? arena_new(ARENA_TASKS) : 0;
    if (!task->index)
        return false;
    task->record = arena_task(task->index);
    task->entry = function_of(entry);
    task->pinned = options->pinned ? options->pinned : arena_namespace(namespace_)->cpu;
    task->simd = saves_simd(namespace_);
    fill_record(task, name, task->entry, namespace_, options);
    return true;
}

/* The stack as task_switch expects it, so that the task begins in task_first. */
static void prepare_stack(struct task *task)
{
    uint8_t *top = (uint8_t *)page_start(task->stack) + TASK_STACK_BYTES;
    struct task_saved *saved = (struct task_saved *)top - 1;

    *saved = (struct task_saved){.rip = (uint64_t)task_first};
    task->rsp = (uint64_t)saved;
    task->record->saved_rsp = task->rsp;
    task->calls = NULL;
}

static void publish(struct task *task)
{
    GUARD(lock) held = lock_take(&all.lock);
    all.by_record[task->index] = task;
}

static struct task *make(const char *name, void (*entry)(uint64_t argument), uint64_t argument,
                         const struct task_options *options)
{
    static const struct task_options defaults;
    OWN(mapped_pages) struct mapped_pages *stack = page_map(TASK_STACK_BYTES, PAGE_WRITE);
    OWN(task) struct task *task = stack ? heap_alloc(sizeof *task) : NULL;

    if (!task)
        return NULL;
    if (!options)
        options = &defaults;
    task->references = 1;
    task->stack = MOVE(stack);
    task->id = __atomic_add_fetch(&all.last_id, 1, __ATOMIC_RELAXED);
    task->argument = argument;
    task->immortal = options->immortal;
    task->cpu = cpu_this()->index;
    if (options->ended)
        task->ended = function_of((uint64_t)options->ended);
    if (!enter(task, name, (uint64_t)entry, options))
        return NULL;
    prepare_stack(task);
    publish(task);
    arena_count(COUNTER_spawns, 1);
    arena_event(EVENT_TASK_SPAWNED, task->index, task->id, name);
    task->references++; /* its own, which the reaper gives back */
    return MOVE(task);
}

struct task *task_new(const char *name, void (*entry)(uint64_t argument), uint64_t argument,
                      const struct task_options *options)
{
    return make(name, entry, argument, options);
}

struct task *task_spawn(const char *name, void (*entry)(uint64_t argument), uint64_t argument,
                        const struct task_options *options)
{
    struct task *task = make(name, entry, argument, options);

    if (task)
        scheduler_ready(task);
    return task;
}

static void release_record(struct task *task)
{
    {
        GUARD(lock) held = lock_take(&all.lock);
        all.by_record[task->index] = NULL;
    }
    GUARD(arena) change = arena_change();
    arena_free(ARENA_TASKS, task->index);
}

static void release(struct task *task)
{
    if (task->index)
        release_record(task);
    mapped_pages_put(task->stack);
    heap_free(task);
}

/* Under the lock, so that who lets go last knows that the others are through with the lock too. */
static bool is_last(struct task *task)
{
    GUARD(lock) held = lock_take(&task->lock);
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wanalyzer-use-after-free" /* task_put ends the task for its caller, not yet here */
    return --task->references == 0;
#pragma GCC diagnostic pop
}

void task_put(struct task *task)
{
    if (task && is_last(task))
        release(task);
}

/* ---- life and end ---- */

struct task *task_this(void)
{
    return cpu_task();
}

void task_begin_simd(void)
{
    struct task *task = task_this();

    if (!task->simd)
        return;
    task->simd_away = NULL;
    simd_begin();
}

void task_save_simd(struct simd_state *state)
{
    struct task *task = task_this();

    if (!task->simd)
        return;
    task->simd_away =
        state; /* first: should there be no room for it, the task is to blame, not whoever interrupted it */
    simd_save(state);
}

void task_resume_simd(void)
{
    struct task *task = task_this();

    if (!task->simd_away)
        return;
    simd_resume(task->simd_away);
    task->simd_away = NULL;
}

/* Called by task_switch in its place. The scheduler has set the CPU's task to `to`; a fault in here is `from`'s. */
void task_switch_simd(struct task *from, struct task *to)
{
    struct cpu *cpu = cpu_this();
    struct simd_state state;

    cpu->task = from;
    task_save_simd(&state);
    if (!to->simd)
        simd_end();
    cpu->task = to;
    task_switch_plain(from, to);
    task_resume_simd();
}

_Noreturn void task_begin(void)
{
    struct task *task = task_this();

    task_begin_simd();
    __asm__ volatile("sti" ::: "memory");
    function_at(task->entry)(task->argument);
    task_exit(0);
}

/* Once only: a task that faults on its way out comes here again. One store puts it on the list. */
static void hand_over(struct task *task) NEEDS(reaper->lock)
{
    struct task **link = &reaper->first;

    while (*link && *link != task)
        link = &(*link)->next_ended;
    if (*link || task == reaper->current)
        return;
    task->next_ended = NULL;
    *link = task;
}

/* Hands the running task to the reaper, which waits until its stack is left. */
static _Noreturn void leave(enum task_state state)
{
    GUARD(interrupts) off = interrupts_off();
    struct task *task = task_this();

    task->record->state = state;
    {
        GUARD(lock) held = lock_take(&reaper->lock);
        hand_over(task);
        wait_queue_wake_one(&reaper->work);
    }
    for (;;)
        scheduler_block(); /* a place in a run queue that a fault left behind is used up */
}

void task_exit(int32_t exit_code)
{
    struct task *task = task_this();

    task->exit_code = exit_code;
    task->record->exit_code = exit_code;
    arena_event(EVENT_TASK_EXITED, task->index, (uint64_t)(int64_t)exit_code, task->record->name);
    leave(TASK_EXITED);
}

void task_fail(void)
{
    struct task *task = task_this();

    arena_event(EVENT_TASK_FAILED, task->index, task->id, task->record->name);
    memset(&task->unwind, 0, sizeof task->unwind);
    task->calls = NULL;
    if (!task->immortal) {
        task->failed = true;
        leave(TASK_FAILED);
    }
    task->record->restarts++;
    task->record->state = TASK_RUNNING;
    task_begin();
}

enum err task_join(struct task *taken, int32_t *ret_exit_code)
{
    OWN(task) struct task *task = taken;

    if (task == task_this())
        return ERR_INVALID;
    GUARD(lock) held = lock_take(&task->lock);
    while (!task->finished)
        (void)wait_queue_wait(&task->done, &held, 0);
    if (task->failed)
        return ERR_CLOSED;
    if (ret_exit_code)
        *ret_exit_code = task->exit_code;
    return ERR_OK;
}

/* ---- the reaper ---- */

static void begin_anew(struct task *task)
{
    task->failed = false;
    prepare_stack(task);
    task->record->restarts++;
    arena_count(COUNTER_restarts, 1);
    arena_event(EVENT_TASK_RESTARTED, task->index, task->record->restarts, task->record->name);
    scheduler_ready(task);
}

static void release_stack(struct task *task)
{
    {
        GUARD(arena) change = arena_change();
        task->record->stack_virt = task->record->stack_phys = task->record->stack_bytes = 0;
        arena_seal(ARENA_TASKS, task->index);
    }
    mapped_pages_put(MOVE(task->stack));
}

/* The last step, which wakes who joins. True: nobody holds the task any more. */
static bool let_go(struct reaper *self, struct task *task)
{
    GUARD(lock) held = lock_take(&task->lock);

    task->finished = true;
    (void)wait_queue_wake_all(&task->done);
    self->current = NULL;
    return --task->references == 0;
}

/* An ended task may be back in a run queue, after a fault on its way out. Seen off the CPU twice, in no queue between,
 * and not switched to meanwhile, it has not been taken from one either. */
static bool has_left(const struct task *task)
{
    uint64_t switches = __atomic_load_n(&task->record->switches, __ATOMIC_ACQUIRE);

    return !__atomic_load_n(&task->on_cpu, __ATOMIC_ACQUIRE) && !__atomic_load_n(&task->queued, __ATOMIC_ACQUIRE) &&
           !__atomic_load_n(&task->on_cpu, __ATOMIC_ACQUIRE) &&
           __atomic_load_n(&task->record->switches, __ATOMIC_RELAXED) == switches;
}

/* Each step leaves it known that it is done, so that a fault in one of them is gone on from. */
static void take_down(struct reaper *self, struct task *task)
{
    while (!has_left(task))
        scheduler_yield();
    if (task->failed && failed_again && self->tries++ < TRIES_MAX && failed_again(task)) {
        self->current = NULL;
        begin_anew(task);
        return;
    }
    struct task_function ended = task->ended;
    task->ended = (struct task_function){0};
    task->main = (struct task_function){0};
    if (ended.address)
        function_at(ended)(task->argument);
    if (task->stack)
        release_stack(task);
    if (let_go(self, task))
        release(task);
}

/* The next ended task, or the one that could not be taken down before; NULL when none came in time. */
static struct task *next_ended(struct reaper *self)
{
    GUARD(lock) held = lock_take(&self->lock);

    if (!self->current) {
        if (!self->first)
            (void)wait_queue_wait(&self->work, &held, REAPER_IDLE_NS);
        self->tries = 0;
        self->current = self->first;
    }
    struct task *task = self->current;
    if (!task || task != self->first) /* off the list already, before a fault of the reaper's */
        return task;
    self->first = task->next_ended;
    task->next_ended = NULL;
    return task;
}

static void reaper_run(uint64_t argument)
{
    struct reaper *self = (struct reaper *)argument;
    uint64_t next_idle_ns = 0;

    for (;;) {
        struct task *task = next_ended(self);
        if (task)
            take_down(self, task);
        if (idle_call && cpu_ns() >= next_idle_ns) {
            idle_call();
            next_idle_ns = cpu_ns() + REAPER_IDLE_NS;
        }
    }
}

static enum err task_init(void)
{
    if (reaper)
        return ERR_OK;
    reaper = heap_alloc(sizeof *reaper);
    if (!reaper)
        return ERR_NOMEM;
    reaper->task = make("reaper", reaper_run, (uint64_t)reaper, &(struct task_options){.immortal = true});
    if (!reaper->task)
        return ERR_NOMEM;
    scheduler_ready(reaper->task);
    return ERR_OK;
}
INIT(task_init);

enum err task_bind_failed(bool (*again)(struct task *task))
{
    return loader_bind(&failed_again, again);
}

enum err task_bind_idle(void (*idle)(void))
{
    return loader_bind(&idle_call, idle);
}

/* ---- for stack scans ---- */

void task_frame(const struct task *task, struct trap_frame *ret_frame)
{
    const struct task_saved *saved = (const struct task_saved *)task->rsp;

    *ret_frame = (struct trap_frame){
        .r15 = saved->r15,
        .r14 = saved->r14,
        .r13 = saved->r13,
        .r12 = saved->r12,
        .rbx = saved->rbx,
        .rbp = saved->rbp,
        .rip = saved->rip,
        .rsp = (uint64_t)(saved + 1),
    };
}

void task_each(void (*visit)(struct task *task, void *context), void *context)
{
    GUARD(lock) held = lock_take(&all.lock);

    for (uint32_t i = 1; i < ARENA_TASKS_MAX; i++)
        if (all.by_record[i])
            visit(all.by_record[i], context);
}
