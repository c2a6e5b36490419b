/* Tasks: a stack, saved registers and an entry function (thesis §6.3.2). What a task is stands in the arena's task
 * table; this cell keeps what only the guest needs. Who runs next is the scheduler's business. The task keeps no list of
 * what it holds: its stack does, and the unwinder walks that.
 *
 * An ended task is taken down by the reaper, a task of its own: first `ended`, then the stack, then whoever joins is
 * woken, so that a join returns with the task's memory given back. Functions that outlive a call (entry, main, ended) are
 * kept as section and offset, so that a swap of their cell need only rewrite those numbers. */
#pragma once
#include "cells/cell.h"
#include "cells/kernel/exception/exception.h"
#include "cells/kernel/lock/lock.h"
#include "cells/kernel/wait_queue/wait_queue.h"
#include "guest/abi/arena.h"

#define TASK_STACK_BYTES (32 * 1024)

struct call;
struct simd_state;

/* The unwinder's progress through a task's stack, apart from that stack. Opaque to all but the unwind cell. */
struct task_unwind {
    uint64_t active;        /* 1 between fault and end of unwinding */
    uint64_t fault_seq;     /* the arena fault this is for */
    uint64_t registers[17]; /* of the frame reached: rax rdx rcx rbx rsi rdi rbp rsp r8..r15, rip */
    uint64_t exception_object[4];
    uint64_t landing_pads, frames;
    uint64_t nested;              /* faults while unwinding */
    uint64_t cfa, exact, guessed; /* of the frame reached */
    uint64_t rflags;              /* interrupt flag for the next pad */
    uint64_t stack_low, stack_high;
    uint64_t emergency; /* the pad that runs now does so on the CPU's emergency stack */
    uint64_t last_pad, last_rbp;
    uint64_t ended;    /* the stack is unwound and what is bound with unwind_bind_end has begun */
    uint64_t back_cfa; /* not after a fault, but back to a call (unwind_back): where its frame ends; 0: no such thing */
    uint64_t back_entry; /* where it is begun anew */
    struct call *call;   /* in the frame reached, or NULL */
};

/* A function by its place in the arena's tables; section 0: `address` counts, it lies in no cell. */
struct task_function {
    uint32_t section, offset;
    uint64_t address;
};

/* What task_switch leaves on the stack of a task, at its rsp. */
struct task_saved {
    uint64_t r15, r14, r13, r12, rbx, rbp, rip;
};

struct task {
    uint64_t rsp;              /* at offset 0: saved stack pointer while it does not run */
    uint32_t on_cpu;           /* at offset 8: 1 while some CPU uses its stack; only task_switch clears it */
    uint32_t index;            /* record in ARENA_TASKS */
    struct arena_task *record; /* at offset 16 */
    uint32_t simd;             /* at offset 24: 1: has SIMD state; 0: a SIMD instruction is a fault */
    uint32_t id;
    uint32_t references;          /* the task itself and its handle */
    struct simd_state *simd_away; /* where on its stack the SIMD state is; NULL: in the CPU */
    struct mapped_pages *stack;
    uint64_t argument;
    struct task_function entry, ended;
    struct task_function main;     /* of an application: what the entry has called, to which no edge leads */
    struct task *next;             /* in a run queue */
    struct task *next_ended;       /* in the reaper's list: an ended task may still be queued to run */
    struct task *next_wait;        /* in a wait queue */
    struct task *next_sleep;       /* in the list of sleepers */
    struct wait_queue *waiting_in; /* or NULL */
    uint64_t wake_ns;              /* end of a sleep or wait; 0: none */
    uint32_t queued;               /* 1: in a run queue */
    uint32_t waiting;              /* 1: asleep; whoever changes it to 0 makes the task ready */
    uint32_t wake_reason;          /* enum err: ERR_OK woken, ERR_TIMEOUT */
    uint32_t pinned;               /* CPU index + 1; 0: any */
    uint32_t cpu;                  /* where it ran last */
    bool finished;                 /* the reaper is done with it */
    bool failed, immortal;
    int32_t exit_code;
    struct lock lock; /* references, finished, done */
    struct wait_queue done;
    uint64_t started_ns; /* of the present run on a CPU */
    struct task_unwind unwind;
    struct call *calls; /* that may be begun anew, the innermost first: task/call.h */
};

struct task_options {
    bool restartable;    /* recovery makes it anew with the same entry and argument; both must outlive it */
    bool immortal;       /* begins anew at once when it failed, without the reaper: idle tasks, the reaper itself */
    uint32_t pinned;     /* CPU index + 1; 0: where its namespace's tasks run */
    uint32_t namespace_; /* that it runs in; 0: that of the task that makes it */
    void (*ended)(uint64_t argument); /* told at its end, also a failed one; runs in the reaper; may be NULL */
};

/* A runnable task that calls entry(argument). Its handle may be joined once, or let go with task_put. NULL: out of
 * memory or of task records, or no such namespace. Never from an interrupt handler. */
void task_put(TAKES struct task *task);
OWNABLE(task)
RELEASED_BY(task_put)
struct task *task_spawn(const char *name, void (*entry)(uint64_t argument), uint64_t argument,
                        const struct task_options *options);
/* As task_spawn, but it runs only when it is handed to scheduler_ready or task_switch: for idle tasks. */
RELEASED_BY(task_put)
struct task *task_new(const char *name, void (*entry)(uint64_t argument), uint64_t argument,
                      const struct task_options *options);
/* Waits for the end and consumes the handle. ERR_CLOSED: it failed. */
enum err task_join(TAKES struct task *task, int32_t *ret_exit_code);

struct task *task_this(void); /* borrowed; NULL before the scheduler runs */
_Noreturn void task_exit(int32_t exit_code);
/* End of a task whose stack has been unwound after a fault; wakes its joiner with ERR_CLOSED. Runs at the very top of
 * its own stack. */
_Noreturn void task_fail(void);

/* Called in the reaper, interrupts on, for each failed task before it is taken down. True: the task is made anew on
 * its stack, with the same entry, argument, record and handle, and record->restarts grows. For the recovery cell. */
enum err task_bind_failed(bool (*again)(struct task *task));
/* Called in the reaper now and then, whether tasks ended or not: for work that waits until nobody holds something. */
enum err task_bind_idle(void (*idle)(void));

/* Changes the stack: saves callee-saved registers on `from`'s stack, and its SIMD state if it has one; continues `to`.
 * Interrupts off. */
void task_switch(struct task *from, struct task *to);

/* For the running task, if it has SIMD state: the state is that of a task that begins. */
void task_begin_simd(void);
/* Likewise, interrupts off: the state goes into `state`, which lies on the task's stack, so that what looks for pointers
 * finds those in there; and it comes back from where it has gone, if it has. */
void task_save_simd(struct simd_state *state);
void task_resume_simd(void);

/* Registers of a task that does not run, as if interrupted after its call of task_switch: for stack scans. */
void task_frame(const struct task *task, struct trap_frame *ret_frame);

/* Calls visit for each task that is not free (parked or blocked ones have valid rsp): for stack scans. */
void task_each(void (*visit)(struct task *task, void *context), void *context);
