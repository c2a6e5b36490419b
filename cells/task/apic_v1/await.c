/* As in cell ipi. */
#include "cells/task/ipi/await.c"
