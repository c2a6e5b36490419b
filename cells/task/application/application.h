/* Runs application cells: loads the cell and makes a task that calls its main function (thesis §5.1.2). */
#pragma once
#include "cells/cell.h"
#include "cells/task/task/task.h"

struct report;

#define APPLICATION_GONE (-1) /* exit code of a task that recovery has restarted after its cell was unloaded */

/* Makes a task, named like the cell, that runs main(argc, argv) of application cell `name` in the caller's
 * namespace, and exits with its value. Loads the cell if need be. argv is copied: at most 32 strings of 4096 bytes
 * together (else ERR_RANGE); argv[0] should be the name. On success the caller owns *ret_task. On failure no task is
 * made, but the cell may stay loaded. ERR_INVALID: the cell has no main. Other errors are those of namespace_load,
 * and `ret_report`, which may be NULL, says why. */
enum err application_run(const char *name, int argc, const char *const *argv, struct task **ret_task,
                         struct report *ret_report);
/* The same in another namespace: its cell of that name, and the task in it. */
enum err application_run_in(struct namespace_ref namespace_, const char *name, int argc, const char *const *argv,
                            struct task **ret_task, struct report *ret_report);
