/* See figure_c.h. */
#include "tests/guest/figure_c/figure_c.h"

CELL("figure_c", LIBRARY, 4);
EXPORT(figure_c, APPLICATION);
EXPORT(figure_c_more, APPLICATION);

static uint64_t calls;

uint64_t figure_c(uint64_t n)
{
    return n + ++calls;
}

uint64_t figure_c_more(void)
{
    return 4;
}
