/* Puts right what a task's structure and its record say twice. Of the cell task. */
#pragma once
#include "cells/task/task/task.h"

/* Whether a task can be pinned so: nobody would ever run it elsewhere. */
bool repair_is_pin(uint32_t pinned);

/* The task of record `index`, whose pointer `task` may be damaged, and `copy` too: one of these, or what is at an
 * address that differs from `task` in one bit. NULL: nothing can be read there, and no such address has the task. */
struct task *repair_pointer(struct task *task, struct task *copy, uint32_t index);

/* The function at an address, by its section if there is one. */
struct task_function task_function_at(uint64_t address);

/* Compares the structure with record `index`, which is the task's. Other CPUs parked. Returns how much was wrong. */
unsigned repair_task(struct task *task, uint32_t index);
