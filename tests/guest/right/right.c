/* See tests/guest/left/left.h. */
#include "tests/guest/left/left.h"

CELL("right", DRIVER, 1);
EXPORT(right_twice, APPLICATION);
EXPORT(right_sum, APPLICATION);
EXPORT(right_pointer, APPLICATION);

static uint64_t right_total;

uint64_t right_twice(uint64_t n)
{
    right_total += n;
    return 2 * n;
}

uint64_t right_sum(void)
{
    return right_total;
}

static uint64_t right_kept(uint64_t n)
{
    return n + 1;
}

static uint64_t right_gone(uint64_t n)
{
    return n + 2;
}

static uint64_t right_retyped(uint64_t n)
{
    return n + 3;
}

right_call *right_pointer(enum right_own which)
{
    return which == RIGHT_KEPT ? right_kept : which == RIGHT_GONE ? right_gone : right_retyped;
}
