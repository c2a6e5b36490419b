/* Cell A of figure 8.1: needs nothing, and is shared by all namespaces. */
#pragma once
#include "cells/cell.h"

uint64_t figure_a(uint64_t n);
