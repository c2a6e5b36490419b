/* Cell C of figure 8.1, the one that namespaces differ in. Version 2 answers otherwise; version 3 lacks figure_c_more,
 * version 4 has state, in version 5 figure_c_more has another type. */
#pragma once
#include "cells/cell.h"

uint64_t figure_c(uint64_t n); /* n + 1; of version 2, n + 1000 */
uint64_t figure_c_more(void);  /* the version */
