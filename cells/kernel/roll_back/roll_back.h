/* Takes tasks that sleep inside of a cell back to before the call that led them there, so that the cell can be replaced
 * without waiting for them (thesis §9.1.1). Which calls may be begun anew, their functions say (task/call.h); the unwinder
 * does it, on the task's own stack: locks, places in queues and whatever else the calls' scopes hold are given back. */
#pragma once
#include "cells/cell.h"
#include "cells/kernel/task/task.h"

/* While it is held, a call that is begun anew waits before its first instruction, for the new version of its function. */
struct roll_back_guard {
    bool held;
};
struct roll_back_guard roll_back_hold(void);
void roll_back_guard_end(struct roll_back_guard *guard);
void roll_back_wait(void); /* until nobody holds it */

/* Other CPUs parked. For a task that sleeps with frames in cells that `leaves` names, none of which has its return address
 * above `highest`: makes it ready, and has it give up
 * the innermost call that contains all of those frames and may be begun anew, before it runs anything else.
 *   ERR_OK         it does so when it runs next, unless the call is decided by then: that one returns
 *   ERR_NOT_FOUND  it has no frame there
 *   ERR_BUSY       it has, but runs, or is on its way back already
 *   ERR_INVALID    it has, and sleeps, but some frame is in no call that may be begun anew: `ret_function` is its address */
enum err roll_back_task(struct task *task, uint64_t highest, bool (*leaves)(uint32_t cell, void *context),
                        void *context, uint64_t *ret_function);
