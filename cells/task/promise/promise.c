/* See promise.h. One CPU counts for all tasks; a task that runs is ended by a tick of its own CPU. */
#include "cells/task/promise/promise.h"
#include "cells/core/arena/arena.h"
#include "cells/core/cpu/cpu.h"
#include "cells/core/exception/exception.h"
#include "cells/core/loader/loader.h"
#include "cells/lib/format/format.h"
#include "cells/task/scheduler/scheduler.h"
#include "cells/task/task/task.h"
#include "cells/task/timer/timer.h"

CELL("promise", KERNEL, 1);
FOUNDATION();
EXPORT(promise_make, APPLICATION);
EXPORT(promise_keep, APPLICATION);
EXPORT(promise_take, KERNEL);
EXPORT(promise_is_asleep, KERNEL);
EXPORT(promise_describe, KERNEL);

#define LOOK_TICKS  10 /* of each CPU, between two looks */
#define MS_PER_TICK (1000 / TIMER_HZ)
#define RFLAGS_IF   0x200ull

extern const uint8_t promise_trap[];

static uint32_t ticks;            /* of all CPUs; atomic */
static uint64_t counted[CPU_MAX]; /* ticks of each CPU at the last look */

static uint32_t load(const uint32_t *word)
{
    return __atomic_load_n(word, __ATOMIC_RELAXED);
}

static void store(uint32_t *word, uint32_t value)
{
    __atomic_store_n(word, value, __ATOMIC_RELAXED);
}

void promise_make(uint32_t ms)
{
    struct promise_part *part = &task_this()->promise;

    store(&part->used_ms, 0);
    store(&part->broken, 0);
    store(&part->limit_ms, ms);
}

void promise_keep(void)
{
    struct promise_part *part = &task_this()->promise;

    store(&part->used_ms, 0);
    store(&part->broken, 0);
}

/* ---- counting ---- */

/* What has passed since the last look on the CPU that has run least. */
static uint32_t passed_ms(void)
{
    uint64_t fewest = LOOK_TICKS;
    const struct cpu *cpu;

    for (unsigned i = 0; (cpu = cpu_get(i)); i++) {
        if (!cpu->record || load(&cpu->parked) == CPU_HALTED)
            continue;
        uint64_t now = __atomic_load_n(&cpu->record->ticks, __ATOMIC_RELAXED), passed = now - counted[i];
        counted[i] = now;
        fewest = passed < fewest ? passed : fewest;
    }
    return (uint32_t)fewest * MS_PER_TICK;
}

static bool is_on_cpu(const struct task *task)
{
    return __atomic_load_n(&task->on_cpu, __ATOMIC_ACQUIRE);
}

/* The promise ends: what runs when the task is unwound has promised nothing. */
static void end_at(struct promise_part *part, uint64_t rip, uint64_t rflags, bool asleep)
{
    part->rip = rip;
    part->rflags = rflags;
    part->asleep = asleep;
    store(&part->broken, 0);
    store(&part->limit_ms, 0);
}

/* The task goes on at the trap, as if its last call had failed. Whoever else wakes it at this moment has it run on. */
static void end_sleep(struct task *task)
{
    struct task_saved *saved = (struct task_saved *)task->rsp;

    if (is_on_cpu(task) || !scheduler_claim_wait(&task->scheduler))
        return;
    if (!is_on_cpu(task)) {
        end_at(&task->promise, saved->rip - 1, 0, true); /* in the call */
        saved->rip = (uint64_t)promise_trap;
    }
    scheduler_ready(task);
}

static void count(struct task *task, void *passed)
{
    struct promise_part *part = &task->promise;
    uint32_t limit = load(&part->limit_ms), state = load(&task->record->state);

    if (!limit || (state != TASK_BLOCKED && state != TASK_RUNNING) || loader_is_held_by(task))
        return;
    uint32_t used = __atomic_add_fetch(&part->used_ms, *(const uint32_t *)passed, __ATOMIC_RELAXED);
    if (used <= limit)
        return;
    if (state == TASK_BLOCKED)
        end_sleep(task);
    else
        store(&part->broken, 1);
}

/* ---- at a tick ---- */

static bool may_end(const struct cpu *cpu, const struct trap_frame *frame)
{
    const struct task *task = cpu->task;

    return cpu->interrupt_depth == 1 && !cpu->lock_depth && !cpu->preempt_off &&
           load(&task->record->state) == TASK_RUNNING &&
           frame->rsp - task->record->stack_virt <= task->record->stack_bytes && !loader_is_held_by(task);
}

static void on_tick(struct trap_frame *frame)
{
    const struct cpu *cpu = cpu_this();

    if (__atomic_add_fetch(&ticks, 1, __ATOMIC_RELAXED) % (LOOK_TICKS * cpu_count()) == 0) {
        uint32_t passed = passed_ms();
        task_each(count, &passed);
    }
    if (!cpu->task || !load(&cpu->task->promise.broken) || !may_end(cpu, frame))
        return;
    end_at(&cpu->task->promise, frame->rip, frame->rflags, false);
    frame->rip = (uint64_t)promise_trap;
    frame->rflags &= ~RFLAGS_IF;
}

/* ---- at the fault ---- */

bool promise_take(struct trap_frame *frame)
{
    struct task *task = task_this();

    if (!task || frame->rip != (uint64_t)promise_trap)
        return false;
    frame->rip = task->promise.rip;
    frame->rflags = task->promise.rflags;
    task->promise.rip = 0; /* an address would keep its cell in memory */
    return true;
}

bool promise_is_asleep(const struct task *task)
{
    return task && task->promise.asleep;
}

void promise_describe(char *text, size_t bytes)
{
    const struct promise_part *part = &task_this()->promise;

    format_print(text, bytes, "no progress for %u ms%s", load(&part->used_ms), part->asleep ? ", asleep" : "");
}

static enum err promise_init(void)
{
    return timer_bind_look(on_tick);
}
INIT(promise_init);
