/* Private to workload: the six tasks that work in every round. */
#pragma once
#include "cells/app/workload/board.h"

/* A restartable task for part `part`, which works on the board until that is stopped. */
enum err part_spawn(struct board *board, enum part part);
/* The same for any entry that is given `argument`; `ended` must leave the board. */
enum err crew_spawn(struct board *board, const char *name, void (*entry)(uint64_t), uint64_t argument,
                    void (*ended)(uint64_t));
