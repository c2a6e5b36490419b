/* See tests/guest/left/left.h. */
#include "tests/guest/left/left.h"

CELL("right", DRIVER, 1);
EXPORT(right_twice, APPLICATION);
EXPORT(right_sum, APPLICATION);

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
