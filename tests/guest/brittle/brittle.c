/* See brittle.h. */
#include "tests/guest/brittle/brittle.h"
#include "cells/kernel/panic/panic.h"

CELL("brittle", DRIVER, 1);
EXPORT(brittle_use, APPLICATION);

static uint64_t uses;

uint64_t brittle_use(void)
{
    return ++uses;
}

static enum err brittle_init(void)
{
    panic("brittle does not start");
}
INIT(brittle_init);
