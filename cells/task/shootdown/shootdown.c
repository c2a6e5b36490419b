/* See shootdown.h; all of it is in flush.c. */
#include "cells/task/shootdown/shootdown.h"
#include "cells/task/shootdown/flush.h"

CELL("shootdown", KERNEL, 1);
FOUNDATION();

static enum err shootdown_init(void)
{
    return flush_init();
}
INIT(shootdown_init);
