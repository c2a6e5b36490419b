/* See overdue.h. One CPU at a time looks at faults and tasks; which one is left to chance. */
#include "cells/recover/recovery/overdue.h"
#include "cells/recover/recovery/audit.h"
#include "cells/core/arena/arena.h"
#include "cells/core/cpu/cpu.h"
#include "cells/core/exception/exception.h"
#include "cells/core/lock/lock.h"
#include "cells/recover/fault/fault.h"
#include "cells/recover/unwind/unwind.h"
#include "cells/task/run_queue/run_queue.h"
#include "cells/task/scheduler/scheduler.h"
#include "cells/task/task/task.h"
#include "cells/task/timer/timer.h"
#include "cells/task/wait_queue/wait_queue.h"

#define LOOK_TICKS   10        /* of each CPU, between two looks */
#define LATE_NS      100000000 /* a task sleeps for so much longer than it wanted */
#define LOOKS_FAULT  2         /* that find the same record open, or more */
#define LOOKS_LOST   2         /* that find the same task lost */
#define LOOKS_QUEUED 5         /* that find it queued, without that it ran; more if many are */
#define LOOKS_ENDED  5         /* that find it ended, and not taken down */
#define LOOKS_MAX    64        /* then a fault that nobody can close counts as closed, and a task as hopeless */

static uint32_t ticks; /* of all CPUs; atomic */

/* What earlier looks have found. A CPU that is late may write at once with the next one: then a look counts less. */
static struct {
    uint64_t newest; /* that a tick has seen */
    uint64_t closed; /* all faults up to this one are, or count as such */
    unsigned looks;  /* that have found the next one open */
} faults;
static struct {
    uint32_t id, looks;
    uint64_t switches;
} tasks[ARENA_TASKS_MAX];

/* The looks at which something is done: 2, 4, 8, and so on. */
static bool is_turn(unsigned looks)
{
    return looks <= LOOKS_MAX && (looks & (looks - 1)) == 0;
}

/* ---- faults ---- */

static bool is_open(uint64_t seq)
{
    const struct arena_fault *fault = fault_record(seq);

    return fault && fault->outcome == FAULT_OUTCOME_OPEN;
}

/* Whether an interrupt handler has failed: no task ends by that, which would have queues made again. */
static bool has_handler_failed(void)
{
    uint64_t newest = __atomic_load_n(&arena_header()->fault_seq, __ATOMIC_RELAXED);
    const struct arena_fault *fault;

    if (newest == faults.newest)
        return false;
    faults.newest = newest;
    fault = fault_record(newest);
    return fault && fault->outcome == FAULT_OUTCOME_OPEN && fault->action == FAULT_ACTION_UNWIND;
}

static bool is_fault_overdue(void)
{
    uint64_t newest = __atomic_load_n(&arena_header()->fault_seq, __ATOMIC_RELAXED), before = faults.closed;

    if (newest - faults.closed >= ARENA_FAULTS_MAX)
        faults.closed = newest < ARENA_FAULTS_MAX ? 0 : newest - ARENA_FAULTS_MAX + 1;
    while (faults.closed < newest && !is_open(faults.closed + 1))
        faults.closed++;
    if (faults.closed == newest || faults.closed != before)
        faults.looks = 0;
    if (faults.closed == newest)
        return false;
    if (++faults.looks > LOOKS_MAX)
        faults.closed++;
    return faults.looks >= LOOKS_FAULT && is_turn(faults.looks);
}

/* ---- tasks ---- */

static bool is_idle_task(const struct task *task)
{
    return task && task->immortal && task->pinned;
}

/* Whether a CPU that may run the task has nothing to do. */
static bool could_run(const struct task *task)
{
    const struct cpu *cpu;

    for (unsigned i = 0; (cpu = cpu_get(i)); i++)
        if (is_idle_task(cpu->task) && (!task->pinned || task->pinned == i + 1))
            return true;
    return false;
}

/* The looks in which each queued task runs once. */
static unsigned turns_before(void)
{
    size_t queued = 0;

    for (unsigned cpu = 0; cpu < cpu_count(); cpu++)
        queued += run_queue_length(cpu);
    return (unsigned)(queued / LOOK_TICKS);
}

/* How many looks in a row must find the task like this for it to be lost. 0: nothing is wrong. */
static unsigned looks_allowed(const struct task *task, uint64_t now)
{
    uint32_t state = __atomic_load_n(&task->record->state, __ATOMIC_ACQUIRE);
    bool asleep = state == TASK_BLOCKED && scheduler_is_waiting(&task->scheduler);
    uint64_t time_out = scheduler_time_out(&task->scheduler);

    if (is_idle_task(task) || cpu_running(task))
        return 0;
    if (asleep && time_out)
        return now > time_out && now - time_out > LATE_NS ? LOOKS_LOST : 0;
    if (asleep)
        return wait_queue_has(&task->wait_queue) ? 0 : LOOKS_LOST;
    if (state == TASK_EXITED || state == TASK_FAILED)
        return task->record->stack_bytes ? LOOKS_ENDED : 0;
    if (state == TASK_FREE || state == TASK_NEW)
        return 0;
    return run_queue_has(&task->run_queue) && !could_run(task) ? LOOKS_QUEUED + turns_before() : LOOKS_LOST;
}

struct look {
    uint64_t now;
    bool overdue;
};

static void look_at(struct task *task, void *context)
{
    struct look *look = context;
    uint64_t switches = __atomic_load_n(&task->record->switches, __ATOMIC_RELAXED);
    unsigned allowed = looks_allowed(task, look->now);
    __typeof__(tasks[0]) *seen = &tasks[task->ref.index % ARENA_TASKS_MAX];

    if (!allowed || seen->id != task->id || seen->switches != switches)
        *seen = (__typeof__(tasks[0])){.id = task->id, .switches = switches};
    if (!allowed)
        return;
    seen->looks++;
    look->overdue |= seen->looks >= allowed && (is_turn(seen->looks) || seen->looks == allowed);
}

static bool is_task_overdue(void)
{
    struct look look = {.now = cpu_ns()};

    task_each(look_at, &look);
    return look.overdue;
}

/* ---- at a tick ---- */

/* Whether a lock's word was corrupt: what releases locks may be damaged. */
static bool was_lock_corrupt(void)
{
    static uint32_t seen;
    uint32_t corrupt = __atomic_load_n(&lock_corrupt, __ATOMIC_RELAXED);
    bool more = corrupt != seen;

    seen = corrupt;
    return more;
}

/* Where interrupts are on, no lock is held, and the stack is that of the CPU's task. */
static bool is_cpu_wrong(struct cpu *cpu, const struct trap_frame *frame)
{
    bool wrong = task_mend_this(frame->rsp);
    unsigned locks = cpu->lock_depth && !unwind_is_active(cpu->task) ? cpu->lock_depth : 0;

    if (locks) {
        arena_count(COUNTER_locks_abandoned, lock_abandon());
        cpu->lock_depth = 0;
    }
    return wrong || locks;
}

static bool is_look_due(void)
{
    return __atomic_add_fetch(&ticks, 1, __ATOMIC_RELAXED) % (LOOK_TICKS * cpu_count()) == 0;
}

static void on_tick(struct trap_frame *frame)
{
    bool lost = fault_mend_cpu(), due = is_look_due();
    struct cpu *cpu = cpu_this();

    if (!cpu->task || cpu->interrupt_depth != 1)
        return;
    bool wrong = is_cpu_wrong(cpu, frame) || lost || has_handler_failed() || was_lock_corrupt();
    if (due) {
        wrong |= is_fault_overdue();
        wrong |= is_task_overdue();
    }
    if (wrong && !cpu->lock_depth && audit_from_tick())
        arena_count(COUNTER_audits, 1);
}

enum err overdue_init(void)
{
    return timer_bind_look(on_tick);
}
