/* What both versions have. */
#include "cells/kernel/scheduler/scheduler.c"
