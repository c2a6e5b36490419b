/* Time for limits: milliseconds of a clock that nobody sets, and that goes on while this program is stopped. */
#pragma once
#include <stdint.h>

int64_t clock_ms(void);
