/* What versions 1, 3, 5 and 6 of fragile do alike. FRAGILE_MORE: more fields of its data. */
#pragma once
#include "cells/kernel/loader/loader.h"
#include "cells/kernel/lock/lock.h"
#include "tests/guest/fragile/fragile.h"

EXPORT(fragile_add, APPLICATION);
EXPORT(fragile_calls, APPLICATION);
EXPORT(fragile_bind, APPLICATION);

#ifndef FRAGILE_MORE
#define FRAGILE_MORE
#endif

static struct {
    struct lock lock;
    uint64_t total, calls FRAGILE_MORE;
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

enum err fragile_bind(uint64_t (*function)(uint64_t))
{
    return loader_bind(&convert, function);
}
