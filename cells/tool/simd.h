/* Whether code uses x87, MMX, SSE or AVX registers: read from its instructions. */
#pragma once
#include "cells/tool/elf_file.h"

/* Finds the first section that does; 0: none. Saving and loading the whole state (xsave, xrstor and the like) does
 * not count. ERR_NOMEM: reported. */
enum err simd_find(const struct elf_file *object, size_t *ret_section);
