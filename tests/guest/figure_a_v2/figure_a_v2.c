/* See figure_a.h. */
#include "tests/guest/figure_a/figure_a.h"
#include "tests/guest/figure_c/figure_c.h"

CELL("figure_a", LIBRARY, 2);
EXPORT(figure_a, APPLICATION);

uint64_t figure_a(uint64_t n)
{
    return 3 * n + figure_c(0);
}
