/* Every kind of reference that the compiler makes of C with the cells' flags; for tests/hosted/suite_relocation.c. Never run. */
#pragma once
#include "cells/cell.h"

uint64_t survey_ask(unsigned what, uint64_t n);
extern uint64_t survey_table[];
extern const int64_t survey_distance[]; /* survey.S */
uint64_t survey_jump(uint64_t n);
