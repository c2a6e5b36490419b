/* Left and right in one cell. */
#include "tests/guest/left/left.h"

CELL("left", DRIVER, 2);
EXPORT(left_call, APPLICATION);
EXPORT(left_bind, APPLICATION);
EXPORT(right_twice, APPLICATION);
EXPORT(right_sum, APPLICATION);
EXPORT(right_pointer, APPLICATION);

static uint64_t left_calls;
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

static uint64_t (*left_ask)(uint64_t n) = right_twice;

void left_bind(uint64_t (*function)(uint64_t n))
{
    left_ask = function;
}

uint64_t left_call(void)
{
    return left_ask(++left_calls);
}

static uint64_t right_kept(uint64_t n)
{
    return n + 1 + 0 * right_total;
}

__attribute__((used)) static uint64_t right_retyped(uint32_t n)
{
    return n + 3;
}

right_call *right_pointer(enum right_own which)
{
    return which == RIGHT_KEPT ? right_kept : NULL;
}
