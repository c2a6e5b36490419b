/* See figure_b.h. */
#include "tests/guest/figure_b/figure_b.h"

CELL("figure_b", LIBRARY, 1);
EXPORT(figure_b, APPLICATION);

uint64_t figure_b(uint64_t n)
{
    return n + 7;
}
