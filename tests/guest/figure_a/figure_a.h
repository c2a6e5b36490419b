/* Cell A of figure 8.1: needs nothing, and is shared by all namespaces. Version 2 needs C. */
#pragma once
#include "cells/cell.h"

uint64_t figure_a(uint64_t n); /* 3 * n; of version 2, and what figure_c says of 0 */
