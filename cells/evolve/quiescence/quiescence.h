/* Whose stacks matter to a swap, what is on them, and how tasks are got out of code that must not run on (thesis §8.1,
 * §9.1.1).
 *
 * Stacks are scanned while the other CPUs are parked; each word is examined once. What is found goes into memory of the
 * caller's, and good for as long as the CPUs stay parked. All functions need the loader lock. */
#pragma once
#include "cells/cell.h"
#include "cells/core/report/report.h"
#include "cells/evolve/plan/plan.h"
#include "guest/abi/arena.h"

struct task;

/* ---- reachability: which tasks can enter the old cells at all ---- */

/* Sections from which an old cell is reached by one edge or several: those whose record has the number of the search.
 * Good until the next search. */
struct reach {
    bool all; /* every task can reach an old cell: interrupt handlers, which run on any stack, can */
    uint32_t search;
};

/* Fills in `ret_reach`, following edges backwards from the plan's old cells. */
void reach_find(struct reach *ret_reach, const struct plan *plan) NEEDS(loader_lock);
/* Whether it has found the section. */
bool reach_has(const struct reach *reach, struct section_ref section);
/* Whether the task can enter an old cell; if not, its stack need not be scanned. */
bool reach_has_task(const struct reach *reach, const struct task *task);

/* ---- stacks ---- */

/* A word on a stack that is an address in an old cell. */
struct stack_reference {
    uint64_t *at;
    struct task *task; /* NULL: the stack is one for faults */
};

/* What a scan has found. */
struct stack_references {
    struct stack_reference *reference; /* the caller's, with `room` elements */
    size_t room, count;
    bool lost;        /* there were more */
    size_t tasks;     /* whose stacks were scanned */
    uint64_t own_rsp; /* where the caller's own stack was scanned from */
};

/* Scans the stacks of tasks that can reach the old cells (`reach` NULL: of all), and those on which CPUs were parked
 * amid a fault. The caller's own frames, below `own_rsp`, are left out. Sets all of `found` but its memory. Other CPUs
 * parked. */
void stack_scan(const struct plan *plan, const struct reach *reach, uint64_t own_rsp, struct stack_references *found);
/* Adds what is in the frames of the caller that stack_scan left out, down to `own_rsp`. */
void stack_scan_own(const struct plan *plan, uint64_t own_rsp, struct stack_references *found);
/* Whether a frame on some stack will return into an old cell, or its data is referred to from there. Needs no scan, but
 * parked CPUs. */
bool stack_is_referenced(const struct plan *plan, uint64_t own_rsp);

/* ---- gates: a gated entry has callers wait before the function's first instruction ---- */

/* Closes the entry of every function of an old cell that has a repeatable call in progress (cells/task/call/call.h), so
 * that a cell that is called all the time becomes empty. Such functions are never called where one must not sleep.
 * Needs parked CPUs and roll_back_hold. `found`: of the last scan. */
void gate_close_all(const struct plan *plan, const struct stack_references *found) NEEDS(loader_lock);
/* Opens all gates; needs parked CPUs. Who waits continues when roll_back_hold is released: in the new version, if there
 * is one by then. */
void gate_open_all(void) NEEDS(loader_lock);
bool gate_is_any_closed(void) NEEDS(loader_lock);

/* ---- quiescence ---- */

enum quiescence {
    QUIESCENCE_REACHED, /* no task is inside of an old cell, in a function that changed */
    QUIESCENCE_NEVER,   /* the caller's is, and cannot leave; the report names it. To wait is of no use */
    QUIESCENCE_INSIDE,  /* another one is, and is named */
    QUIESCENCE_UNKNOWN, /* there was no time to walk all stacks: try again, without waiting for anybody */
};

/* Discards what was found out about tasks for an earlier plan. */
void quiescence_begin(void) NEEDS(loader_lock);
/* Checks the tasks that `found`, of a scan of all stacks, names. Those that sleep inside, in a repeatable call, are
 * rolled back: they leave when the CPUs run again. Others may leave then by themselves. Walks frames for about
 * `walk_ns`; what is found of a task holds until it has run again. Needs parked CPUs. */
enum quiescence quiescence_check(const struct plan *plan, const struct stack_references *found, uint64_t walk_ns,
                                 struct report *report) NEEDS(loader_lock);
