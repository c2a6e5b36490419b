/* A cell that comes and goes: it has every kind of section, needs other cells, holds memory between init and done. */
#pragma once
#include "cells/cell.h"

/* The version, and how many calls since the cell was loaded, over swaps. */
struct passing {
    uint32_t version, calls;
};
struct passing passing_call(uint64_t n);
