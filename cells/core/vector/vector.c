/* See vector.h. */
#include "cells/core/vector/vector.h"
#include "cells/core/edge/edge.h"

CELL("vector", KERNEL, 1);
FOUNDATION();
EXPORT(vector_new, DRIVER);
EXPORT(vector_bind, DRIVER);

#define FIRST_VECTOR 0x30 /* below: exceptions, and the vectors at which a PIC may still deliver spurious interrupts */
#define LAST_VECTOR  0xef

static uint32_t reserved[LAST_VECTOR - FIRST_VECTOR + 1]; /* 1: taken */

unsigned vector_new(void)
{
    for (unsigned i = 0; i < array_size(reserved); i++)
        if (!__atomic_exchange_n(&reserved[i], 1, __ATOMIC_ACQ_REL))
            return FIRST_VECTOR + i;
    return 0;
}

enum err vector_bind(unsigned vector, exception_handler *handler)
{
    return vector < EXCEPTION_VECTORS ? edge_bind(&exception_handlers[vector], handler) : ERR_RANGE;
}
