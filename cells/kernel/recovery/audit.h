/* Finds tasks that a fault in the scheduler or in a waker has lost: they could run, but no queue has them. Internal to
 * the recovery cell. */
#pragma once
#include "cells/cell.h"

/* Has the scheduler's queues made anew. Does nothing when there has been no fault since the last time. From a task. */
void audit_tasks(void);
