/* What the files of cell kill share. */
#pragma once
#include "cells/recover/kill/kill.h"
#include "cells/task/task/task.h"

static inline bool kill_is_asked(const struct task *task)
{
    return __atomic_load_n(&task->killed, __ATOMIC_SEQ_CST);
}

/* Whether the task is one of an application: it began in one, or has a frame in one. False for what may not be ended:
 * an immortal task, or one that has no stack any more. Other CPUs parked. */
bool kill_is_in_application(const struct task *task);
/* Asks the task; kill_again ends it if it sleeps. */
void kill_ask(struct task *task, enum task_end reason);
/* Ends the running task in this call, if it has been asked. Returns if it cannot end here: it holds the loader lock or
 * a spin lock, or is being unwound. Interrupts on. */
void kill_end_here(void);

/* memory.c: has memory that is out make tasks of applications end. */
enum err kill_bind_memory(void);
