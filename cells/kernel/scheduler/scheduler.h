/* Preemptive round-robin over one run queue per CPU. An idle CPU halts. */
#pragma once
#include "cells/cell.h"
#include "cells/kernel/cpu/cpu.h"

struct task;
enum err scheduler_start(void); /* the running CPU goes on in its idle task; returns only if it can't */
void scheduler_yield(void);
void scheduler_ready(struct task *task); /* any context: puts it on a run queue, kicks an idle CPU */
void scheduler_block(void);              /* interrupts off, the task is on some queue already: runs the next one */
void scheduler_sleep_ns(uint64_t ns);

/* Ends the wait of `task` with `reason` (enum err) and makes it ready; false: somebody else did so first. */
bool scheduler_wake(struct task *task, unsigned reason);
/* Interrupts off: sleeps until scheduler_wake, or until `wake_ns` (cpu_ns; 0: for ever). The caller has set
 * task->waiting and put the task where a waker finds it. Returns the reason. */
unsigned scheduler_wait(uint64_t wake_ns);

/* GUARD(preempt) stay = scheduler_stay(): the task keeps its CPU until the end of the scope. It must not wait. */
struct preempt_guard {
    struct cpu *cpu;
};
struct preempt_guard scheduler_stay(void);
void preempt_guard_end(struct preempt_guard *guard);

/* Called by an idle CPU before it halts, in its idle task: to look for work that was lost. Short when there is none. */
enum err scheduler_bind_idle(void (*idle)(void));
/* While other CPUs are parked: makes the run queues and the list of sleepers anew from what each task says of itself,
 * after a fault that may have left them in pieces. */
void scheduler_rebuild(void);
