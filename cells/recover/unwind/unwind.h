/* The unwinder: walks a task's stack by the .eh_frame of each cell and runs landing pads by .gcc_except_table, those
 * of the faulting frame included (thesis §6.2, §8.2). It allocates nothing. Every address that it follows must be in
 * the task's stack or in a cell.
 *
 * A pad runs on the task's own stack, as an ordinary part of the task, with the interrupt flag as it was. It ends in
 * _Unwind_Resume, which continues with the next frame on the CPU's fault stack. A fault in an interrupt handler
 * unwinds only the handler: the interrupted code resumes. */
#pragma once
#include "cells/cell.h"
#include "cells/task/task/task.h"

/* Unwinds what `frame` interrupted. If a task has failed, to its outermost frame: the task then calls what
 * unwind_bind_end has bound, and task_fail. If an interrupt handler has failed, to the interrupt entry: the interrupted
 * code then resumes. An instruction that no call-site region holds gets the pad of the nearest region: GCC believed
 * that it cannot fault, so text or registers are corrupt. Call on the fault stack, interrupts off. `fault_seq`: the
 * fault that this is for; 0: none, the task was killed. */
_Noreturn void unwind_task(struct task *task, const struct trap_frame *frame, uint64_t fault_seq);

/* Ends the task, or restarts it if it is immortal, without unwinding it: what it ran is lost. What its frames hold is
 * not released, but for locks. Call on the fault stack, interrupts off. */
_Noreturn void unwind_give_up(struct task *task, uint64_t fault_seq);

/* Has a task that does not run roll back `call`, which is in the frame that ends at `cfa`. When the task runs next,
 * it leaves all frames up to that one, running their landing pads, and resumes at `entry` with a struct
 * unwind_repeat on its stack. If it leaves a call whose result is decided by then, this call returns the result, and
 * the roll-back ends there. A fault in a pad makes it a fault like any other. Other CPUs parked; the caller makes
 * the task ready. */
void unwind_roll_back(struct task *task, struct call *call, uint64_t cfa, void (*entry)(void));
/* Has a task that sleeps, and does not run, end as if the call in which it sleeps had failed: when it runs next, it is
 * unwound. The caller has claimed its wait, and makes it ready. */
void unwind_end_sleep(struct task *task);
/* How well gcc's tables say what is to be released if the task ends at this instruction. */
enum unwind_point {
    UNWIND_POINT_ANY,   /* not at all: gcc has believed that it cannot fail, or a call has just returned something */
    UNWIND_POINT_CALL,  /* it is a call: what is passed with it may have no other owner */
    UNWIND_POINT_PAD,   /* the same, with a landing pad: it is less likely */
    UNWIND_POINT_EXACT, /* they say all */
};
enum unwind_point unwind_point(const struct task *task, const struct trap_frame *frame);
/* Whether the task is being unwound, or is about to roll back a call. */
bool unwind_is_active(const struct task *task);

/* Is below the return address of the call: `entry` pops the arguments into their registers and returns into the
 * function. */
struct unwind_repeat {
    uint64_t argument[6], function;
};

struct unwind_frame {
    uint64_t rip, rsp, cfa;
    struct cell_ref cell;       /* that rip is in, or none */
    struct section_ref section; /* that rip is in, or none */
};
/* Calls visit for each frame, the innermost first, until it returns false or no further frame is found. Runs no
 * pads. */
void unwind_walk(const struct trap_frame *from, uint64_t stack_low, uint64_t stack_high,
                 bool (*visit)(const struct unwind_frame *frame, void *context), void *context);
/* Unwind tables have been written since the last unwind_walk on this CPU: what that has found out is not used again. */
void unwind_forget(void);

/* The bounds of the task's stack, from records that are intact. False: it has none. */
bool unwind_stack(const struct task *task, uint64_t *ret_low, uint64_t *ret_high);

/* Binds what each unwound task calls before task_fail, on its own, empty stack, interrupts on: for repairs that
 * cannot wait until another task runs. It is not called again for the same fault if it faults itself. */
enum err unwind_bind_end(void (*unwound)(uint64_t fault_seq));
