/* See figure_b.h. */
#include "tests/guest/figure_b/figure_b.h"

CELL("figure_b", LIBRARY, 2);
EXPORT(figure_b, APPLICATION);

uint64_t figure_b_more(void); /* only here */
EXPORT(figure_b_more, APPLICATION);

uint64_t figure_b(uint64_t n)
{
    return n + 70;
}

uint64_t figure_b_more(void)
{
    return 71;
}
