/* As in cell shootdown. */
#include "cells/task/shootdown/flush.c"
