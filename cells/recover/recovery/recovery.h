/* Recovery (thesis §8.2.2): what is done about a fault beyond unwinding. It exports nothing; loading it starts it.
 *
 * The story of a fault:
 *   1. In the exception handler (fault): the fault is logged, damaged foundation cells are mended, the task is unwound.
 *   2. In the failed task, once its stack is unwound (unwind_bind_end): damaged cells that had a frame on the stack are
 *      reloaded, and tasks that no queue holds are found. Then the task hands itself to the teardown task (task_fail).
 *   3. In the teardown task (task_bind_failed): the remedy is chosen by how often the cell has been blamed within a
 *      minute: none, a reload, a reload with fresh data (if the cell has been reloaded before), giving up. A
 *      restartable task is restarted; another one ends.
 *   4. In the teardown task, now and then (task_bind_idle): the same for faults in interrupt handlers and immortal
 *      tasks, which do not come to the teardown task; and replaced cells and removed namespaces are freed. All state is
 *      in the arena (the fault log, how often a cell was reloaded), so that nothing is lost when this cell is replaced
 *      itself. */
#pragma once
#include "cells/cell.h"
