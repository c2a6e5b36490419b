/* Finds tasks that a fault in the scheduler or in a waker has lost: they could run, but no queue holds them, or they
 * sleep and nobody wakes them. Private to the recovery cell. */
#pragma once
#include "cells/cell.h"

/* Has the scheduler build its queues again, wakes all tasks that sleep in wait queues, so that each looks again at what
 * it waits for, and has the heap made again. Does nothing when there has been no fault since the last time. Call from a
 * task, with no lock held. */
void audit_all(void);
