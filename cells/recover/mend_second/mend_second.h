/* The second mender: the same code as the first (cells/recover/mend/mend.h) at another address. It is called when an
 * exception comes while another one is being dealt with, since the first mender may be what has failed; and it mends
 * the first. */
#pragma once
#include "cells/cell.h"
#include "guest/abi/arena.h"

/* As mend_all. */
unsigned mend_second_all(const struct cell_ref *cells, unsigned count);
