/* Deadlines for functions of cells that the system calls and waits for: TRANSFER, INIT and DONE. One that does not
 * return in time is ended by a fault of kind FAULT_HANG, as if the instruction that it has reached had failed: the
 * fault is logged, the stack is unwound, and so locks are released and what the caller has begun is taken back.
 *
 * Time is that of the guest as far as it has run: where the host has not run its CPUs, it does not count. It is looked
 * at 18 times a second, by an NMI, since such a function may loop with interrupts off and all other CPUs parked. The
 * NMI comes from the PIT or the HPET by way of an I/O APIC, else from another CPU. Only on a machine with one CPU and
 * neither of them does a function go on for ever that loops with interrupts off. A function that sleeps when its time
 * is over is ended by a tick. */
#pragma once
#include "cells/cell.h"
#include "cells/core/arena/arena.h"

struct task;
struct trap_frame;

#define DEADLINE_TRANSFER_MS 2000
#define DEADLINE_INIT_MS     5000 /* of a DONE function too */

/* A function that is watched. task NULL: none. */
struct deadline {
    struct task *task; /* that has called it */
    struct cell_ref cell;
    const char *what; /* "transfer function" */
    uint32_t limit_ms;
    uint64_t used_ns;
};

/* GUARD(deadline) limited = deadline_begin(...): watches what the running task calls, a `what` of `cell`, until the end
 * of the scope. The caller holds the loader lock: there is one deadline at a time. That of an outer scope waits
 * meanwhile. Does nothing before tasks run. */
struct deadline_guard {
    struct deadline outer;
    bool watches;
};
struct deadline_guard deadline_begin(struct cell_ref cell, const char *what, uint32_t limit_ms);
void deadline_guard_end(struct deadline_guard *guard);
/* Ends what the running task has begun: for a task whose stack could not be unwound to its end. */
void deadline_abandon(void);

/* ---- for the watchdog cell ---- */

/* Binds what is called at each NMI, after the deadline was looked at, and at each tick, interrupts off. From then on
 * NMIs come to the first CPU as long as no function is watched. ERR_FULL: no edge is free. */
enum err deadline_bind_watch(void (*nmi)(struct trap_frame *frame), void (*tick)(void));
/* Whether the PIT or the HPET sends them. */
bool deadline_has_counter(void);

/* ---- for the fault cell ---- */

/* At the fault by which a deadline ends a function: true, and `frame` is then where the function was. */
bool deadline_take(struct trap_frame *frame);
/* It cannot end there: it is tried again a millisecond later. */
void deadline_put_off(void);
/* The cell whose function the task has called and a deadline watches, or none. */
struct cell_ref deadline_cell(const struct task *task);
/* Whether it was ended while it slept: then the fault is in a call of its. */
bool deadline_is_asleep(void);
/* Says which function has exceeded what. */
void deadline_describe(char *text, size_t bytes);
