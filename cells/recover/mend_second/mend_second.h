/* The second mender: the same code as the first (cells/recover/mend/mend.h) at another address. It is called when an
 * exception comes while another one is being dealt with, since the first mender may be what has failed; and it mends
 * the first. */
#pragma once
#include "cells/cell.h"
#include "guest/abi/arena.h"

/* As mend_all. */
unsigned mend_second_all(const struct cell_ref *cells, unsigned count);
/* Whether the first mender is as it was loaded. Nobody else can tell: what it says of cells, itself among them, it says
 * by its own text. */
bool mend_second_is_first_right(void);
/* Mends the first mender, and has all cells compared again then, as it may have taken damaged ones for right. Returns
 * how many sections were mended. As mend_section: other CPUs parked, or in an exception handler. */
unsigned mend_second_first(void);
