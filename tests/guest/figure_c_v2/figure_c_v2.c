/* See figure_c.h. */
#include "tests/guest/figure_c/figure_c.h"

CELL("figure_c", LIBRARY, 2);
EXPORT(figure_c, APPLICATION);
EXPORT(figure_c_more, APPLICATION);

uint64_t figure_c(uint64_t n)
{
    return n + 1000;
}

uint64_t figure_c_more(void)
{
    return 2;
}
