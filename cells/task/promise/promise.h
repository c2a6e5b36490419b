/* A task may promise progress: to say at least every so many ms that it gets on. One that does not, since it waits for
 * what never comes or loops with interrupts on, is ended by a fault of kind FAULT_HANG, as if the instruction that it
 * has reached, or the call in which it sleeps, had failed: the fault is logged with the task's stack, blamed and
 * unwound like any other. That ends the promise.
 *
 * Time counts by ticks, ten at once, of the CPU that has had the fewest meanwhile, and not while the task waits for a
 * CPU: on a host that is slow, or does not run the guest, nobody breaks a promise. Nor does a task that has the loader
 * lock: what it calls then has a deadline. A loop with interrupts off is the watchdog's to end. */
#pragma once
#include "cells/cell.h"

struct task;
struct trap_frame;

/* The promise's part of struct task. The task itself writes limit_ms and used_ms, and whoever looks at it. */
struct promise_part {
    uint32_t limit_ms; /* atomic; 0: it has promised nothing */
    uint32_t used_ms;  /* atomic: since it has kept the promise last */
    uint32_t broken;   /* atomic; 1: it ends at its next tick */
    uint32_t asleep;   /* 1: it slept when it was ended */
    uint64_t rip, rflags;
};

/* From now on the running task calls promise_keep at least every `ms`; also keeps an earlier promise. 0: it promises
 * nothing any more. */
void promise_make(uint32_t ms);
/* The running task gets on. */
void promise_keep(void);
/* For a task that begins again. */
static inline void promise_forget(struct promise_part *part)
{
    *part = (struct promise_part){};
}

/* ---- for the fault cell ---- */

/* At the fault by which a broken promise ends the running task: true, and `frame` is then where the task was. */
bool promise_take(struct trap_frame *frame);
/* Whether it slept there. */
bool promise_is_asleep(const struct task *task);
/* Says for how long the running task has made no progress. */
void promise_describe(char *text, size_t bytes);
