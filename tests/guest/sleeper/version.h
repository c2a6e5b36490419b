/* What both versions of the sleeper cell do; they tell themselves apart by SLEEPER_VERSION in their answers. */
#pragma once
#include "cells/kernel/task/call.h"
#include "tests/guest/sleeper/sleeper.h"

#ifndef SLEEPER_VERSION
#define SLEEPER_VERSION 0 /* the header alone */
#endif

EXPORT(sleeper_wait, LIBRARY);
EXPORT(sleeper_outer, LIBRARY);
EXPORT(sleeper_once, LIBRARY);

/* A stay inside, counted under the lock. */
struct stay_guard {
    struct sleeper *sleeper;
    bool returned;
};

static struct stay_guard stay(struct sleeper *sleeper) NEEDS(sleeper->lock)
{
    sleeper->entered++;
    sleeper->inside++;
    return (struct stay_guard){sleeper, false};
}

static void stay_guard_end(struct stay_guard *guard)
{
    struct sleeper *sleeper = guard->sleeper;
    uint64_t *volatile nowhere = (uint64_t *)8;

    if (__atomic_exchange_n(&sleeper->fail, 0, __ATOMIC_RELAXED))
        *nowhere = 1;
    sleeper->inside--;
    sleeper->gone_back += !guard->returned;
}

static bool sleep_in(struct sleeper *sleeper, struct lock_guard *held, uint64_t ns) NEEDS(sleeper->lock)
{
    GUARD(stay) inside = stay(sleeper);

    while (!sleeper->open)
        if (wait_queue_wait(&sleeper->queue, held, ns) != ERR_OK) {
            inside.returned = true;
            return false;
        }
    inside.returned = true;
    return true;
}

__attribute__((noinline)) uint64_t sleeper_wait(struct sleeper *sleeper, uint64_t ns, uint64_t a, uint64_t b,
                                                uint64_t c, uint64_t d)
{
    REPEATABLE(call, sleeper_wait, (uint64_t)sleeper, ns, a, b, c, d);
    GUARD(lock) held = lock_take(&sleeper->lock);

    sleeper->call = &call;
    return sleep_in(sleeper, &held, ns) ? sleeper_mix(SLEEPER_VERSION, a, b, c, d) : UINT64_MAX;
}

static void count_end(uint64_t **count)
{
    if (*count)
        **count -= 2;
}

uint64_t sleeper_outer(struct sleeper *sleeper, uint64_t *count)
{
    REPEATABLE(call, sleeper_outer, (uint64_t)sleeper, (uint64_t)count);
    __attribute__((cleanup(count_end))) uint64_t *counted = count;

    *count += 2;
    uint64_t mixed = sleeper_wait(sleeper, 0, 1, 2, 3, 4);
    counted = NULL;
    return mixed;
}

uint64_t sleeper_once(struct sleeper *sleeper, uint64_t *count)
{
    GUARD(lock) held = lock_take(&sleeper->lock);

    ++*count;
    return sleep_in(sleeper, &held, 0) ? sleeper_mix(SLEEPER_VERSION, *count, 0, 0, 0) : 0;
}
