/* Ends tasks of applications that are asked to end: whatever they do, and although nothing has failed. The stack is
 * unwound, as after a fault, so that what the task holds is released; but no fault is logged, nobody is blamed, and the
 * task is not restarted. Who joins it gets JOIN_KILLED. A task that it makes meanwhile is to end too.
 *
 * Where a task ends:
 *   it sleeps    in the call in which it sleeps, whatever cell that is in. What sleeps holds no spin lock
 *   it runs      in code of an application, at an instruction for which gcc's tables say what is to be released. From
 *                the next tick on, it is watched from instruction to instruction until it is at one (in a function of
 *                which all instructions are believed not to fail: at any, after some time)
 *   it is in     a library, or another cell below the application: it first returns into the application. A breakpoint
 *                notices that
 * Tasks end also when memory is out (cells/memory/reclaim): one that waits for an allocation ends in that.
 *
 * Not while it holds the loader lock, nor in an interrupt handler, nor while interrupts are off: with them off, and for
 * as long as what it has called does not return, it goes on. */
#pragma once
#include "cells/cell.h"
#include "guest/abi/arena.h"

struct report;

/* Asks all tasks that run in the cell: whose entry or main function is in it, or that have a frame in it. Also the
 * running task, which ends after its return into an application. Returns how many, those that were asked before too.
 * From a task, no lock held. */
size_t kill_all_in(struct cell_ref cell);
/* Asks the task of that id. ERR_NOT_FOUND: there is none, or it has ended. ERR_REFUSED: it runs in no application. */
enum err kill_by_id(uint32_t id, struct report *report);
/* Ends those that sleep by now. Returns how many have been asked and are not taken down yet, but for the running task.
 * The teardown task calls it now and then. */
size_t kill_again(void);
