/* Puts right what a task's structure and its record say twice. Of the cell task. */
#pragma once
#include "cells/task/task/task.h"

/* Whether a task can be pinned so: nobody would ever run it elsewhere. */
bool repair_is_pin(uint32_t pinned);

/* Compares the structure with record `index`, which is the task's. Other CPUs parked. Returns how much was wrong. */
unsigned repair_task(struct task *task, uint32_t index);
