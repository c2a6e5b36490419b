/* Cell B of figure 8.1: needs nothing. Its second version can be told from it. */
#pragma once
#include "cells/cell.h"

uint64_t figure_b(uint64_t n); /* n + 7; of version 2, n + 70 */
