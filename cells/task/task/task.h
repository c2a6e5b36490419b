/* Tasks: a stack, saved registers and an entry function (thesis §6.3.2). The host sees a task as its record in the
 * arena; struct task holds what only the guest needs. The scheduler decides which task runs next. There is no list of
 * what a task holds: its stack holds it, and unwinding the stack releases it.
 *
 * The end of a task: task_exit, or task_fail after a fault, hands it to the teardown task, a task of this cell. The
 * teardown task waits until no CPU uses the stack. It restarts a failed task if recovery says so (task_bind_failed).
 * Otherwise it calls `ended`, frees the stack and wakes whoever joins: when task_join returns, the task's memory has
 * been freed. */
#pragma once
#include "cells/cell.h"
#include "cells/core/exception/exception.h"
#include "cells/core/lock/lock.h"
#include "cells/task/promise/promise.h"
#include "cells/task/run_queue/run_queue.h"
#include "cells/task/scheduler/scheduler.h"
#include "cells/task/simd/simd.h"
#include "cells/task/wait_queue/wait_queue.h"
#include "guest/abi/arena.h"

#define TASK_STACK_BYTES  (32 * 1024)
#define TASK_UNWIND_BYTES 304

struct call;

/* A function as section and offset in the arena's tables, so that a swap of its cell rewrites only these numbers.
 * No section: the function is in no cell, and `address` counts. */
struct task_function {
    struct section_ref section;
    uint32_t offset;
    uint64_t address;
};

/* What a task still has to call, or has called and will return to: a swap of their cells rewrites them. */
struct task_functions {
    struct task_function entry;
    struct task_function ended;
    struct task_function main; /* of an application: called by the entry, without an edge (application.h) */
};

/* What task_switch leaves on the stack of a task, at its rsp. */
struct task_saved {
    uint64_t r15, r14, r13, r12, rbx, rbp, rip;
};

/* The task cell's part of struct task. */
struct task_life {
    struct mapped_pages *stack; /* NULL once the teardown task has freed it */
    uint64_t argument;          /* of entry and ended */
    struct task *next_ended;    /* in the teardown task's list */
    int32_t exit_code;
    uint32_t references; /* under lock: the task itself and its handle */
    bool finished;       /* under lock: the teardown task is done with it */
    bool failed;
    uint64_t restart_after_ns; /* how long it waits when it is restarted */
    struct lock lock;
    struct wait_queue done; /* of who joins */
};

/* The unwinder's part: only the unwind cell knows what is in it. All zero while nothing is unwound. */
struct task_unwind {
    uint64_t word[TASK_UNWIND_BYTES / 8];
};

/* The kill cell's part. */
struct task_kill {
    uint32_t steps; /* instructions that the task was watched for, without one where it could end */
    bool ends_here; /* at the next instruction, whatever that is */
};

struct task {
    /* Everybody may read these; who writes them is said. ref, record, id, pinned and immortal do not change. */
    uint64_t rsp;    /* at offset 0: saved stack pointer while it does not run; by task_switch */
    uint32_t on_cpu; /* at offset 8: 1 while a CPU uses its stack; set by who has it run, cleared by task_switch */
    struct task_ref ref;
    struct arena_task *record; /* at offset 16 */
    struct simd_part simd;     /* at offset 24; belongs to the simd cell */
    uint32_t id;               /* never used again */
    uint32_t pinned;           /* CPU index + 1; 0: any */
    bool immortal;             /* see struct task_options */
    bool killed;               /* it is to end: by the kill cell, and from the beginning if the task that makes it is */
    struct task_functions functions; /* rewritten by swaps */
    struct call *calls;              /* repeatable calls in progress, the innermost first (cells/task/call/call.h) */
    /* Each of these belongs to the cell it is named after, which has functions for others. `life` is this cell's. */
    struct task_life life;
    struct run_queue_part run_queue;
    struct scheduler_part scheduler;
    struct wait_queue_part wait_queue;
    struct task_unwind unwind;
    struct task_kill kill;
    struct promise_part promise;
};

struct task_options {
    bool restartable; /* recovery restarts it with the same entry and argument; both must outlive it */
    bool immortal;    /* restarted at once after a failure, not taken down: idle tasks, the teardown task itself */
    uint32_t pinned;  /* CPU index + 1; 0: where tasks of its namespace run */
    struct namespace_ref namespace_;  /* that it runs in; none: that of the task that makes it */
    void (*ended)(uint64_t argument); /* called in the teardown task when the task has ended or failed; may be NULL */
};

/* Makes a task that calls entry(argument) and makes it ready. Not from an interrupt handler. `options` may be NULL.
 * Returns a handle, which the caller owns: pass it to task_join or task_put. NULL: out of memory or of task records, or
 * no such namespace. */
void task_put(TAKES struct task *task);
OWNABLE(task)
RELEASED_BY(task_put)
struct task *task_spawn(const char *name, void (*entry)(uint64_t argument), uint64_t argument,
                        const struct task_options *options);
/* Like task_spawn, but does not make the task ready: the caller does, with scheduler_ready. Who
 * switches to it himself sets its state to TASK_RUNNING first. */
RELEASED_BY(task_put)
struct task *task_new(const char *name, void (*entry)(uint64_t argument), uint64_t argument,
                      const struct task_options *options);
enum [[nodiscard]] join{JOIN_ENDED, JOIN_FAILED, JOIN_KILLED, JOIN_SELF};
/* Waits until the task has ended, and consumes the handle. JOIN_FAILED: it ended by a fault, or recovery gave it up.
 * JOIN_KILLED: somebody has asked for its end (cells/recover/kill). JOIN_SELF: it is the caller. `ret_exit_code` may be
 * NULL, and is written on JOIN_ENDED only. */
enum join task_join(TAKES struct task *task, int32_t *ret_exit_code);

/* The running task, borrowed. NULL before the scheduler runs. */
struct task *task_this(void);
/* Ends the running task. */
_Noreturn void task_exit(int32_t exit_code);
/* Ends the running task after a fault or since it was killed, or restarts it if it is immortal. Call at the top of its
 * stack, which has been unwound. */
_Noreturn void task_fail(void);

/* Binds what decides about failed tasks. `restart_failed` runs in the teardown task, interrupts on, before the task is
 * taken down. Returns true: the task is restarted with the same entry, argument, record and handle; record->restarts
 * grows. */
enum err task_bind_failed(bool (*restart_failed)(struct task *task));
/* Has a failed task wait for `ns` when it is restarted, before its entry is called. For restart_failed. */
void task_restart_after(struct task *task, uint64_t ns);
/* Binds what the teardown task calls every 50 ms or so, also when no task has ended: for work that waits for references
 * to go. */
enum err task_bind_idle(void (*idle)(void));

/* Saves callee-saved registers on `from`'s stack, and its SIMD state if it has one; resumes `to`. Interrupts off,
 * and the running CPU's task set to `to`. */
void task_switch(struct task *from, struct task *to);

/* The task's stack; NULL: freed. Read once: the teardown task may free the stack of an ended task meanwhile. The handle
 * itself may be read even then, since its memory is never unmapped. */
static inline const struct mapped_pages *task_stack(const struct task *task)
{
    return __atomic_load_n(&task->life.stack, __ATOMIC_RELAXED);
}

/* The registers that `saved` stands for, as if the task had been interrupted right after its call of task_switch. */
static inline struct trap_frame task_saved_frame(const struct task_saved *saved)
{
    return (struct trap_frame){
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
/* Writes the registers of a task that does not run. */
void task_frame(const struct task *task, struct trap_frame *ret_frame);

/* Puts right what is known of each task from elsewhere: its record and id, and its saved stack pointer if it does not
 * run; one that is pinned to no CPU may run on any. Other CPUs parked. Returns how many words were wrong. */
unsigned task_mend_all(void);
/* Puts right which task this CPU runs, if its pointer to it is that of no task, or the stack is that of another one:
 * `rsp` is the stack pointer of what has failed or was interrupted. Call with interrupts off. True: it was wrong, and
 * queues may be too. */
bool task_mend_this(uint64_t rsp);

/* Calls visit for each task whose record is not free, under a lock: visit must not wait or make tasks. The rsp of a
 * task that does not run is valid. */
void task_each(void (*visit)(struct task *task, void *context), void *context);
