/* See left.h. */
#include "tests/guest/left/left.h"

CELL("left", DRIVER, 1);
EXPORT(left_call, APPLICATION);
EXPORT(left_bind, APPLICATION);

static uint64_t left_calls;
static uint64_t (*left_ask)(uint64_t n) = right_twice;

void left_bind(uint64_t (*function)(uint64_t n))
{
    left_ask = function;
}

uint64_t left_call(void)
{
    return left_ask(++left_calls);
}
