/* Private to workload: the tasks that work in every round. */
#pragma once
#include "cells/app/workload/board.h"

/* Spawns a restartable task for part `part`, which works until the board is stopped. ERR_NOMEM. */
enum err part_spawn(struct board *board, enum part part);
/* Spawns a restartable task of the crew; `ended` must call board_leave. ERR_NOMEM. */
enum err crew_spawn(struct board *board, const char *name, void (*entry)(uint64_t), uint64_t argument,
                    void (*ended)(uint64_t));
