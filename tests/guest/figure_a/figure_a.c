/* See figure_a.h. */
#include "tests/guest/figure_a/figure_a.h"

CELL("figure_a", LIBRARY, 1);
EXPORT(figure_a, APPLICATION);

uint64_t figure_a(uint64_t n)
{
    return 3 * n;
}
