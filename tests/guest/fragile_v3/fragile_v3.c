/* A bad version of fragile: fragile_word is missing. */
#include "tests/guest/fragile/fragile.h"
#include "cells/kernel/loader/loader.h"
#include "cells/kernel/lock/lock.h"

CELL("fragile", DRIVER, 3);
EXPORT(fragile_add, APPLICATION);
EXPORT(fragile_calls, APPLICATION);
EXPORT(fragile_call, APPLICATION);
EXPORT(fragile_bind, APPLICATION);

static struct {
    struct lock lock;
    uint64_t total, calls;
} counts;

static uint64_t itself(uint64_t n)
{
    return n;
}

static uint64_t (*convert)(uint64_t n) = itself;

uint64_t fragile_add(uint64_t n)
{
    GUARD(lock) held = lock_take(&counts.lock);

    counts.calls++;
    counts.total += convert(n);
    return counts.total;
}

uint64_t fragile_calls(void)
{
    GUARD(lock) held = lock_take(&counts.lock);

    return counts.calls;
}

void fragile_call(void (*function)(uint64_t), uint64_t argument)
{
    function(argument);
    counts.calls++;
}

enum err fragile_bind(uint64_t (*function)(uint64_t))
{
    return loader_bind(&convert, function);
}
