/* Finds tasks that a fault in the scheduler or in a waker has lost: they could run, but no queue holds them, or they
 * sleep and nobody wakes them. Private to the recovery cell. */
#pragma once
#include "cells/cell.h"

/* Has the scheduler build its queues again, wakes all tasks that sleep in wait queues, so that each looks again at what
 * it waits for, and has the heap made again. Does nothing when there has been no fault since the last time. Call from a
 * task, with no lock held. */
void audit_all(void);
/* The same, but that the heap is made again only when the faults since the last time give a reason to: one came in the
 * heap, nobody knows where it came, or there were several. Else that is left for audit_all or audit_heap: what is
 * damaged there panics when it is used, and then there is a reason. */
void audit_soon(void);
/* Has the heap made again if there has been a fault since the last time. Call from a task, with no spin lock held. */
void audit_heap(void);
/* Whether the task sleeps without a time-out. */
struct task;
bool audit_is_asleep_for_ever(const struct task *task);
/* At a tick that has interrupted what holds no lock: mends the foundation, then does all of audit_all but for the heap,
 * whatever faults there have been. False: another CPU has parked this one, or is about to; nothing was done. */
bool audit_from_tick(void);
