/* Whether code uses x87, MMX, SSE or AVX registers: from its instructions, not from a promise. */
#pragma once
#include "cells/tool/object.h"

/* The first section of the object's code that does so; 0: none does. What saves and loads all of the state (xsave, xrstor
 * and the like) is no use of it. ERR_NOMEM: complained. */
enum err simd_find(const struct object *object, size_t *ret_section);
