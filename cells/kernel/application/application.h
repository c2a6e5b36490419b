/* Runs application cells: loads the cell, makes a task that calls its main function (thesis §5.1.2). */
#pragma once
#include "cells/cell.h"
#include "cells/kernel/task/task.h"

struct loader_detail;

/* A task named like the cell that runs main(argc, argv) of application cell `name`; argv is copied, argv[0] is the
 * name by custom. Its exit code is main's value. The caller owns *ret_task; ret_detail may be NULL. */
enum err application_run(const char *name, int argc, const char *const *argv, struct task **ret_task,
                         struct loader_detail *ret_detail);
/* The same in `namespace_`, in place of the caller's own: with the cell as it is there, and the task in it. */
enum err application_run_in(uint32_t namespace_, const char *name, int argc, const char *const *argv,
                            struct task **ret_task, struct loader_detail *ret_detail);
