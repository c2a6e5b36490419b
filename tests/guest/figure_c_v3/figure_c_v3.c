/* See figure_c.h. */
#include "tests/guest/figure_c/figure_c.h"

CELL("figure_c", LIBRARY, 3);
EXPORT(figure_c, APPLICATION);

uint64_t figure_c(uint64_t n)
{
    return n;
}
