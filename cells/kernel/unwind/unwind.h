/* The unwinder: walks a task's stack by the .eh_frame of each cell and runs landing pads by .gcc_except_table, the
 * faulting frame's own included. Allocates nothing; its progress lies in struct task_unwind; every address it follows
 * must lie in the task's stack or in a cell (thesis §6.2, §8.2).
 *
 * A pad runs on the task's own stack, as an ordinary part of the task, with the interrupt flag as it was; it ends in
 * _Unwind_Resume, which goes on with the next frame on the CPU's fault stack. A fault in an interrupt handler unwinds
 * only the handler: the interrupted code goes on. */
#pragma once
#include "cells/cell.h"
#include "cells/kernel/task/task.h"

/* Unwinds what `frame` interrupted, to the first frame of `task`, then goes on in task_fail on the task's stack; or to
 * the interrupt entry, then goes on where the interrupt had come in. Never returns; called on the fault stack.
 * An instruction that no call-site region holds gets the closest one's pad: GCC believed that it can't trap, so text or
 * registers are corrupt. `fault_seq`: the fault that this is for. */
_Noreturn void unwind_task(struct task *task, const struct trap_frame *frame, uint64_t fault_seq);

/* `task` does not run, and will soon: it then gives up its calls from within, pads and all, up to the frame that ends at
 * `cfa` and holds a struct call (task/call.h), and goes on at `entry` with a struct unwind_again on its stack. A call on
 * the way that is decided by then returns to its caller instead. A fault in a pad makes it a fault like any other. */
void unwind_back(struct task *task, uint64_t cfa, void (*entry)(void));

/* What lies below the return address of the call: `entry` takes the arguments off and returns into the function. */
struct unwind_again {
    uint64_t argument[6], function;
};

struct unwind_frame {
    uint64_t rip, rsp, cfa;
    uint32_t cell, section;
};
/* Walks without running anything: for stack scans and backtraces. Stops where it cannot go on. visit false: stop. */
void unwind_walk(const struct trap_frame *from, uint64_t stack_low, uint64_t stack_high,
                 bool (*visit)(const struct unwind_frame *frame, void *context), void *context);

/* The stack of `task`, as far as its records can be trusted; false: none. */
bool unwind_stack(const struct task *task, uint64_t *ret_low, uint64_t *ret_high);

/* `end` is called for each task that has been unwound, on its own, empty stack, interrupts on, before task_fail: for
 * repairs that cannot wait for another task to run. A fault in it is the end of it. */
enum err unwind_bind_end(void (*end)(uint64_t fault_seq));
