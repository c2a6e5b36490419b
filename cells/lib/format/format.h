/* printf-like formatting into a buffer: %s %c %d %i %u %x %X %p %%, l ll z, width and precision (also *), 0, -. */
#pragma once
#include <stdarg.h>
#include "cells/cell.h"

/* Write at most `bytes` characters to `to`, the final NUL included, and cut the rest. Return how many were written, the
 * NUL not counted. */
__attribute__((format(printf, 3, 4))) size_t format_print(char *to, size_t bytes, const char *format, ...);
size_t format_vprint(char *to, size_t bytes, const char *format, va_list arguments);
