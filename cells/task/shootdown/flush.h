/* Cell apic_v1 has flush.c too. */
#pragma once
#include "cells/cell.h"

/* Binds the vector and the hooks. ERR_FULL: no vector, or no edge is free. */
enum err flush_init(void);
