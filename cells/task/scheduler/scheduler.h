/* Preemptive scheduling: switches tasks, keeps time-outs, and wakes. Which ready task runs next is decided by the
 * run queue: in version 1 the one that has been ready longest (run_queue.h), in version 2 by priority
 * (scheduler_v2.h). An idle CPU halts. */
#pragma once
#include "cells/cell.h"
#include "cells/core/cpu/cpu.h"

struct task;

/* Why a wait ended. */
enum [[nodiscard]] wake{WAKE_EVENT, WAKE_TIMEOUT};

/* The scheduler's part of struct task. */
struct scheduler_part {
    struct task *next_sleeper; /* the one with the next time-out */
    uint64_t wake_ns;          /* end of the wait by cpu_ns; 0: no time-out */
    uint64_t started_ns;       /* when it got the CPU last */
    uint32_t waiting;          /* 1: asleep; whoever changes it to 0 makes the task ready */
    uint32_t reason;           /* enum wake */
};

/* The running CPU continues in its idle task. Call once per CPU, interrupts in any state. Returns only on failure:
 * out of memory or of task records. */
enum err scheduler_start(void);
/* Lets other ready tasks run first. Does nothing where the task may not be switched: in an interrupt handler, under
 * a lock, in a scope of scheduler_stay. */
void scheduler_yield(void);
/* Queues the task to run, and tells an idle CPU. From any context. Once for each task_new, and for each end of a wait,
 * which scheduler_wake sees to: a task that is made ready twice could run after its end. */
void scheduler_ready(struct task *task);
/* Runs the next task. The caller has put the running one where a waker finds it. Interrupts off, no lock held. */
void scheduler_block(void);
/* Sleeps for at least `ns`. */
void scheduler_sleep_ns(uint64_t ns);

/* Ends the wait of `task` and makes it ready. From any context. False: its wait has ended already. */
bool scheduler_wake(struct task *task, enum wake reason);
/* Sleeps until scheduler_wake, or until `wake_ns` (cpu_ns; 0: for ever). The caller has called scheduler_begin_wait
 * and put the task where a waker finds it. Interrupts off, no lock held. */
enum wake scheduler_wait(uint64_t wake_ns);
/* From now on scheduler_wake may end the wait of the running task. */
static inline void scheduler_begin_wait(struct scheduler_part *part)
{
    part->reason = WAKE_EVENT;
    __atomic_store_n(&part->waiting, 1, __ATOMIC_RELEASE);
}
/* The running task waits no more, whether it was woken or not. */
static inline void scheduler_end_wait(struct scheduler_part *part)
{
    __atomic_store_n(&part->waiting, 0, __ATOMIC_RELEASE);
}
/* Takes the right to end the wait of a task, which whoever gets it makes ready (scheduler_ready). From any context.
 * False: another one has it, or there is no wait. A flag with a wrong bit says that there is one. */
static inline bool scheduler_claim_wait(struct scheduler_part *part)
{
    return __atomic_exchange_n(&part->waiting, 0, __ATOMIC_ACQ_REL);
}
static inline bool scheduler_is_waiting(const struct scheduler_part *part)
{
    return __atomic_load_n(&part->waiting, __ATOMIC_ACQUIRE);
}
/* When time is up for a task that waits; 0: never. */
static inline uint64_t scheduler_time_out(const struct scheduler_part *part)
{
    return __atomic_load_n(&part->wake_ns, __ATOMIC_RELAXED);
}

/* GUARD(preempt) stay = scheduler_stay(): the running task keeps its CPU until the end of the scope. It must not
 * wait. */
struct preempt_guard {
    struct cpu *cpu;
};
struct preempt_guard scheduler_stay(void);
void preempt_guard_end(struct preempt_guard *guard);

/* Binds what an idle CPU calls before it halts, in its idle task: it looks for tasks that no queue holds. */
enum err scheduler_bind_idle(void (*idle)(void));
/* Builds the run queues, the list of sleepers and the table of idle tasks again from what each task says of itself,
 * after a fault that may have damaged them. Other CPUs parked. New tasks stay out: those who make them queue them. */
void scheduler_rebuild(void);
