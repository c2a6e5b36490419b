/* See mend_second.h. */
#include "cells/recover/mend_second/mend_second.h"
#include "cells/recover/mender/mender.h"

CELL("mend_second", KERNEL, 1);
FOUNDATION();
EXPORT(mend_second_all, KERNEL);

unsigned mend_second_all(const struct cell_ref *cells, unsigned count)
{
    return mend_many(cells, count);
}
