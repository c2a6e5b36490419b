/* Rolls tasks that sleep inside of a cell back to before their call into it, so that the cell can be replaced without
 * waiting for them (thesis §9.1.1). Functions declare which calls are repeatable (cells/task/call/call.h). The unwinder
 * runs on the task's own stack: locks, places in queues and whatever else the calls' scopes hold are released. */
#pragma once
#include "cells/cell.h"
#include "cells/task/task/task.h"

/* While it is held, a repeated call waits before its first instruction, for the new version of its function. */
struct roll_back_guard {
    bool held;
};
struct roll_back_guard roll_back_hold(void);
void roll_back_guard_end(struct roll_back_guard *guard);
void roll_back_wait(void); /* until nobody holds it */

enum [[nodiscard]] roll_back{ROLL_BACK_BEGUN, ROLL_BACK_NO_FRAME, ROLL_BACK_BUSY, ROLL_BACK_NOT_REPEATABLE};

/* Gets a sleeping task out of the cells for which `leaves` returns true. No return address into them may be above
 * `highest` on its stack. Makes the task ready; before it runs anything else it rolls back the innermost repeatable
 * call that contains all of its frames in those cells. Other CPUs must be parked.
 *   BEGUN           it rolls back when it runs next; if the call's result is decided by then, the call returns
 *   NO_FRAME        it has no frame in those cells
 *   BUSY            it has such a frame, but it is running, or being rolled back already
 *   NOT_REPEATABLE  it sleeps, but such a frame is in no repeatable call: `ret_function` is its function */
enum roll_back roll_back_task(struct task *task, uint64_t highest, bool (*leaves)(struct cell_ref cell, void *context),
                              void *context, uint64_t *ret_function);
