/* See figure_c.h, but for the type of figure_c_more. */
#include "cells/cell.h"

uint64_t figure_c(uint64_t n);
uint64_t figure_c_more(uint64_t n);

CELL("figure_c", LIBRARY, 5);
EXPORT(figure_c, APPLICATION);
EXPORT(figure_c_more, APPLICATION);

uint64_t figure_c(uint64_t n)
{
    return n;
}

uint64_t figure_c_more(uint64_t n)
{
    return 5 + n;
}
