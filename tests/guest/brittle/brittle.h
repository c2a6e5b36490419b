/* A cell that cannot be loaded, since its init function panics. */
#pragma once
#include "cells/cell.h"

uint64_t brittle_use(void);
