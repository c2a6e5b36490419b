/* State that may exist once per namespace: a count, which begins at 100 with init. Depends on cell C. */
#pragma once
#include "cells/cell.h"

uint64_t figure_each(void); /* one more than before */
