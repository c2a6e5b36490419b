/* See figure_user.h. */
#include "tests/guest/figure_user/figure_user.h"
#include "tests/guest/figure_c/figure_c.h"

CELL("figure_user", LIBRARY, 1);
EXPORT(figure_user, APPLICATION);
EXPORT(figure_user_at, APPLICATION);

uint64_t figure_user(uint64_t n)
{
    return figure_c(n);
}

uint64_t figure_user_at(void)
{
    return (uint64_t)figure_c;
}
