/* Reserves and binds interrupt and exception vectors. The table of handlers itself is cell exception's, which is part
 * of the image; this cell is not. */
#pragma once
#include "cells/core/exception/exception.h"

/* Reserves the lowest interrupt vector that is free. Returns it; 0: all are taken. */
unsigned vector_new(void);

/* Binds the handler of `vector`, so that it follows a swap of its cell. NULL unbinds. ERR_RANGE: no such vector; else
 * as edge_bind (cells/core/edge). */
enum err vector_bind(unsigned vector, exception_handler *handler);
