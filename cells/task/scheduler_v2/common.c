/* The part that every version of the cell has. */
#include "cells/task/scheduler/scheduler.c"
