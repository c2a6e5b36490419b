/* As in cell ipi. */
#include "cells/task/ipi/send.c"
