/* An application that only version 2 of cell B is enough for. */
#include "cells/cell.h"

CELL("figure_more", APPLICATION, 1);

uint64_t figure_b_more(void);

static int figure_more_main(int, char **)
{
    return (int)figure_b_more();
}
MAIN(figure_more_main);
