/* Names of exceptions. Private to the fault cell. */
#pragma once
#include "cells/cell.h"

/* "exception" for one without a name. */
const char *vector_name(uint32_t vector);
